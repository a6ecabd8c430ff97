"""A trained detector in front of streams: from an address, or a file that is played, to alerts."""
