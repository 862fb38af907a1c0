"""What a vault does all day: takes in, keeps by its own rules, reports."""
