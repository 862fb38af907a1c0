"""The command line. Each module parses options, calls one operation and renders its result; no logic."""
