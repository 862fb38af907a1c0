"""What a backup reads of the database and stores: the two engines, and what they hand over."""
