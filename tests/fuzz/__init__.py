"""Whatever is in a file that a command reads: no defect, no hang, no memory swell, no wrong restore."""
