"""Data sets, samplers and loaders that training reads."""
