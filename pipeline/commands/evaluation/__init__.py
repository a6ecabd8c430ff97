"""Says what an evaluation judges, and where what it finds goes."""
