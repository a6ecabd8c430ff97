"""Graphics that games, streams, recorders and publishers lay over footage.

Every overlay is drawn with the same chance over every origin, so that its presence tells nothing.
"""
