"""Enhancement of files of any length, rate and number of channels, in bounded memory."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={"cli": ["plan"]})
