"""The verbs. Each reads from top to bottom as numbered steps, reports events, and knows nothing of terminals."""
