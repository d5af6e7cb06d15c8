"""Asteroid, modified by SELoss; nothing heavy is imported before it is used."""

from __future__ import annotations

from pathlib import Path

import lazy_loader

__version__ = "0.7.0+seloss.1"
project_root = str(Path(__file__).resolve().parent.parent)

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        *("binarize", "complex_nn", "data", "dsp", "engine", "losses", "masknn", "metrics"),
        *("models", "scripts", "separate", "utils"),
    ],
    submod_attrs={
        "models": [
            *("ConvTasNet", "DCCRNet", "DCUNet", "DPRNNTasNet", "DPTNet", "DeMask", "FasNetTAC"),
            "LSTMTasNet",
        ],
        "utils": ["deprecation_utils", "torch_utils"],
    },
)
__all__ = [*__all__, "available_models", "show_available_models"]


def available_models() -> dict[str, str]:
    """Return the published models: name -> address."""
    from asteroid.utils.hub_utils import MODELS_URLS_HASHTABLE

    return dict(MODELS_URLS_HASHTABLE)


def show_available_models() -> None:
    """Print the names of the published models, one a line."""
    print("\n".join(available_models()))
