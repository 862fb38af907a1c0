"""What Syncthing carries, and to whom."""
