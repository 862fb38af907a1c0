"""The server's own: the key that its backups are sealed with, its recovery sheet, and what `init` begins with."""
