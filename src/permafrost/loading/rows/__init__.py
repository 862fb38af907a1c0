"""The rows of a snapshot: found in its objects, streamed, and loaded."""
