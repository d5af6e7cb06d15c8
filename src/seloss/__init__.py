"""SELoss: train and evaluate speech-enhancement networks."""

from __future__ import annotations

import lazy_loader

from .installation import check_packages

check_packages()

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={"pretrained": ["enhance", "load_model"]},
)
