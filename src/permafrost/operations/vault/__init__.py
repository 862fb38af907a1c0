"""The commands of `permafrost vault`, on servers and on vaults."""
