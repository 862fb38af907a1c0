"""Who owns what in a database: its roles with their memberships, and code that runs for others than its owner."""
