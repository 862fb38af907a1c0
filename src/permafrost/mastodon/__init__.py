"""Mastodon's settings, secrets, media and health."""
