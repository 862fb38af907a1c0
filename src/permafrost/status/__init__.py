"""What can be said of snapshots, runs and vaults. Reads only."""
