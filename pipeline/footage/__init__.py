"""Takes what comes from outside, from the index of a collection to canonical clips."""
