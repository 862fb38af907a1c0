"""The segment log: each table as a log of rows. See docs/engine.md."""
