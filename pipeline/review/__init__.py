"""What people decide of scores and alerts, in the order that is worth most, and what it teaches."""
