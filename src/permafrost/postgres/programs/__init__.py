"""PostgreSQL's own programs: pg_dump, pg_restore, and servers of our own."""
