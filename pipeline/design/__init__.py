"""Tells whether the data can answer the question: splits, their sizes, shortcuts past the scene."""
