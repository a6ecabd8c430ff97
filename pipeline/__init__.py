"""Discern: from footage to a classifier that tells real shootings from fictional ones."""

__version__ = "0.2.0"
