"""Programs for those who work on permafrost; nothing here is installed."""
