"""Alerts: messages about findings as they appear and end, and pings for monitors that expect them."""
