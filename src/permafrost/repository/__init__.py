"""The repository: a folder of immutable, encrypted objects and of snapshots that name them."""
