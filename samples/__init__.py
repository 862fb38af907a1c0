"""Makes a small server that looks like Mastodon: database, media and secrets, for demo, tests and benchmarks."""
