"""Read the database and store a snapshot. There are two engines: the segment log and the dump."""
