"""The two long-running services, on the server and on a vault."""
