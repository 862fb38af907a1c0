"""What permafrost claims about time and size, measured side by side on the same data in one run."""
