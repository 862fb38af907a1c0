"""A snapshot becomes a database: opened, checked, loaded and compared."""
