"""permafrost: backs up a Mastodon server and proves that it can come back."""

__version__ = "0.2.0"
