"""What is known of snapshots, runs and vaults. Only reads."""
