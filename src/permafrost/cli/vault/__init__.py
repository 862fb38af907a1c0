"""permafrost vault: machines that keep copies. Some commands are for the server, some for the vault."""
