"""What the commands share: options, rendering, amounts, the choice of a snapshot."""
