"""What could be taken for a discharge and is none: lights, bangs, doors, handling, glitches."""
