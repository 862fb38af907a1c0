"""Whether a Mastodon database, and the secrets that belong to it, are fit to run again."""
