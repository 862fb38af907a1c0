"""Whether a Mastodon database, and its secrets, are fit to run again."""
