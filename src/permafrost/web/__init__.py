"""The page that shows the status in a browser, as a file or served on this machine. Only reads."""
