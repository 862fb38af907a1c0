"""What a vault does with the media of its history: compares them with the server's list, reads them again, mends."""
