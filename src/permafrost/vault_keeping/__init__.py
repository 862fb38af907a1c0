"""What a vault does all the time: it takes in what has come, keeps it by its own rules, and reports."""
