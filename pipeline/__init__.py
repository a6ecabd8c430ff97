"""Discern: from footage to a classifier that tells real shootings from fictional ones."""
