"""A trained detector at work: its weights, what it says of clips and files, and its alerts."""
