"""What goes through Syncthing, and to whom."""
