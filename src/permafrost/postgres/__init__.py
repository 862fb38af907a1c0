"""PostgreSQL: connections, scans, and its own programs."""
