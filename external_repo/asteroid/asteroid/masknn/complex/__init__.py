"""Layers on complex spectra held as real tensors: the parts of DCUnet, DCCRN and CNUNet."""
