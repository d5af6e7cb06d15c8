"""Causal networks run frame by frame, compiled for the processor."""
