"""The command line: one module per command group. Each parses, calls one operation and renders; no logic."""
