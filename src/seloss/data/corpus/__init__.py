"""Recordings on disk: corpora, listings, splits, pairs of noisy and clean files."""
