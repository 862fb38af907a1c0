"""Fetches media files by HTTPS from the public address of an object store, and is led to no other machine."""
