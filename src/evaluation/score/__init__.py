"""Metrics of every utterance of a test set, and their tables."""
