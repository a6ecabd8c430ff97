"""Metrics of answers, intervals of estimates, and how numbers are written."""
