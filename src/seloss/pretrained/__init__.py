"""Trained networks: loaded by name or from a file."""
