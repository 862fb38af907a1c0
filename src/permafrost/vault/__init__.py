"""The other side: how a vault is invited and admitted, and what it remembers of its servers."""
