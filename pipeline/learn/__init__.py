"""The classifier: its network, how it is trained, and weights that load without pickle."""
