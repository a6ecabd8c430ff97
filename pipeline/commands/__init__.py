"""Does what a user asks of the data between runs: `python -m pipeline explain`, `… forget`."""
