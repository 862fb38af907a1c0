"""PostgreSQL as permafrost uses it: its programs, its catalogue, and scratch servers."""
