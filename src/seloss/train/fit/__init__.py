"""From a network and options to a trained network."""
