"""Mixtures of speech and noise, in rooms or added, made on disk."""
