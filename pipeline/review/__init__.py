"""Asks people about scores and alerts, in the order that is worth most, and learns from them."""
