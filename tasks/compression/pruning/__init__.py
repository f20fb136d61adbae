"""Weights set to zero, and the training that recovers from it."""
