"""The media of a history: which files came, which versions are kept, and whether they are complete and sound."""
