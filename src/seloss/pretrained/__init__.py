"""Trained networks: loaded by name or from a file, and used in one line.

Example:
    >>> from seloss.pretrained import enhance, load_model, model_names
    >>> "dccrn-small-causal" in model_names()
    True
"""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "catalogue": ["DEFAULT", "load_model", "model_card", "model_names"],
        "enhance_array": ["enhance"],
        "hub": ["pull_model", "push_model"],
        "weights_file": ["WeightsError", "read_weights", "write_weights"],
    },
)
