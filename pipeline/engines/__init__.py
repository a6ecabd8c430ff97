"""Footage engines: each renders recordings whose labels are known, frame by frame."""
