"""The Lightning system that trains a network, and its parts."""
