"""Turn a snapshot back into a database. It is opened, checked, loaded and compared."""
