"""Edits that people make to a video before they upload it again."""
