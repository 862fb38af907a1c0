"""GnuPG: sealing, opening and signing."""
