"""What permafrost knows of Mastodon: its environment file, its secrets, where its media lie."""
