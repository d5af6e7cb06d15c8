"""Fitting: a network, options and data become a trained network."""
