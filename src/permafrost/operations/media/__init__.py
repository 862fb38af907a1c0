"""The commands about media of a Mastodon itself: in its folder, or in its object store."""
