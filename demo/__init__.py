"""Shows the whole road in one go: a Mastodon server is backed up, carried to a vault, destroyed and restored."""
