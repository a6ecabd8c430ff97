"""What is laid over footage by games, streams, recorders and publishers.

Every overlay is drawn with the same chance over every origin, so that its presence tells nothing.
"""
