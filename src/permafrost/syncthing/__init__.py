"""Syncthing, which carries the repository and the media: its REST API, the managed instance, folders, holdings."""
