"""The segment log: a table's heap cut into page ranges, each kept as a log of lines (docs/engine.md)."""
