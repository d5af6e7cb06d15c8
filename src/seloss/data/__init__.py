"""From recordings to training batches: formats, corpora, mixing, loading."""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "load.open_dataset": ["open_dataset"],
    },
)
