"""A test set: its files, its references, its experiment or folder."""
