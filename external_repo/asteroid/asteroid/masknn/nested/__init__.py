"""Nested U-Nets, causal in time: the parts of NUNet-TLS and CNUNet."""
