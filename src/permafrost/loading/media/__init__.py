"""The media of a snapshot's moment: found in a vault's history or in a copy, laid out, and compared with the rows."""
