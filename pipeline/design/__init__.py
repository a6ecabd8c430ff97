"""Whether the data can answer the question: splits, their sizes, and shortcuts past the scene."""
