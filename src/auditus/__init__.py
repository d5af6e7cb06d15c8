"""Metrics on tensors: per utterance, in natural units, NaN where undefined."""
