"""Seals and opens streams with GnuPG, and makes and checks signatures."""
