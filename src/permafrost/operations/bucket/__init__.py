"""The commands about buckets."""
