"""PostgreSQL as permafrost uses it: its programs, its catalog, and scratch servers."""
