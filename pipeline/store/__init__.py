"""Keeps clips, samples, features and finished work, and executes blocks of work."""
