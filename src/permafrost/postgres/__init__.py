"""PostgreSQL: connections, scans, its own programs, scratch servers."""
