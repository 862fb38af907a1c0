"""The commands. Each reads top to bottom as numbered steps, reports events, and knows nothing of terminals."""
