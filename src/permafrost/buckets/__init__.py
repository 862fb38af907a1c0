"""Copies of a repository in buckets of object stores: uploaded, locked, verified without a download, and read back."""
