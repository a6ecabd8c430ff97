"""Recordings played as streams: what they show, when alerts rise, and what that costs."""
