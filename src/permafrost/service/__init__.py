"""The two long-running services, and the jobs of one of them."""
