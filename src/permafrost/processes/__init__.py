"""The only modules that start programs. The rules that all of them keep are in `launch`."""
