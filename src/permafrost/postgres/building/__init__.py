"""What makes a database and fills it: its properties, rows, indexes, keys and sequences."""
