"""The only modules that start programs. The rules that they follow are in `launch`."""
