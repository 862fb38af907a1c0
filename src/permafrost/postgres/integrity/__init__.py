"""Whether a database keeps its own promises: unique keys, exclusions, foreign keys, and rows that can be read."""
