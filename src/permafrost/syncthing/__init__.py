"""Syncthing: its REST API, folders, and the managed instance."""
