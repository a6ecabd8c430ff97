"""Where clips, samples, features and finished work lie, and what executes a block of work."""
