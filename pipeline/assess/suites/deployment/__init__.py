"""Presents what people found of the detector where it runs."""
