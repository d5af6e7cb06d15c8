"""Embeddings of speech from pretrained models, and when in time each of them is."""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "alignment": ["align"],
        "distilled": ["DistilledXlsr"],
        "embedder": ["EMBEDDERS", "SpeechEmbedder", "build_embedder"],
        "hub": ["HubEmbedder"],
        "layer_mix": ["LayerMix"],
    },
)
