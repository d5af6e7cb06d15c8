"""Signal mathematics without learnable weights, shared by losses, networks and metrics."""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["bands", "context", "lengths", "projection", "spatial", "stft"],
    submod_attrs={
        "beamforming": [
            "SCM",
            "Beamformer",
            "GEVBeamformer",
            "RTFMVDRBeamformer",
            "SDWMWFBeamformer",
            "SoudenMVDRBeamformer",
        ],
        "consistency": ["mixture_consistency"],
        "overlap_add": ["DualPathProcessing", "LambdaOverlapAdd"],
    },
)
