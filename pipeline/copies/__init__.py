"""Fingerprints of clips, and the search for clips that look alike."""
