"""Embeddings of WavLM, HuBERT and wav2vec 2.0, by the transformers library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from asteroid.utils.optional import needed_for

from .embedder import ALL_LAYERS, EMBEDDERS, SpeechEmbedder, weights_digest

__all__ = ["HubEmbedder"]

FAMILIES = ("wavlm", "hubert", "wav2vec2", "data2vec-audio", "unispeech", "unispeech-sat")


@EMBEDDERS.register("hub")
class HubEmbedder(SpeechEmbedder):
    """A model of the wav2vec 2.0 family: all its hidden states, the first transformer input first.

    Every embedding knows the whole signal: not causal.

    Args:
        path: Folder of a saved model, or its name on the hub, such as ``microsoft/wavlm-large``.
        layer: Which hidden state, or ``"all"``.
        normalise: Bring the signal to zero mean and unit variance first; None: as the model's
            preprocessor configuration says, without one not.
        offline: Never ask the hub.
        device: Where it runs.

    Raises:
        ModuleNotFoundError: The package ``transformers`` is not installed.
        FileNotFoundError: There is no such folder and, if allowed to ask, no such model.
        ValueError: The model is of another family, or has no such layer.

    Source: Chen et al., "WavLM", IEEE JSTSP 2022; Hsu et al., "HuBERT", TASLP 2021; Baevski et al.,
        "wav2vec 2.0", NeurIPS 2020.
    """

    def __init__(
        self,
        path: str,
        layer: int | str = ALL_LAYERS,
        normalise: bool | None = None,
        offline: bool = False,
        device: str = "cpu",
    ) -> None:
        super().__init__(layer)
        config, self._model, settings = _load(path, offline)
        self._model = self._model.eval().requires_grad_(False).to(device)
        self.normalise = (
            bool(settings.get("do_normalize", False)) if normalise is None else normalise
        )
        self.sample_rate = int(settings.get("sampling_rate", 16000))
        self.size, self.total_layers = config.hidden_size, config.num_hidden_layers + 1
        self._kernels = list(zip(config.conv_kernel, config.conv_stride, strict=True))
        self._device = device
        self.identity = {
            "model": f"{config.model_type} {path}",
            "weights": weights_digest(self._model),
            "normalise": self.normalise,
        }
        self.check_layer()

    @property
    def _reach(self) -> tuple[int, int]:
        """Samples that a frame is computed from, and from one frame to the next."""
        reach, step = 1, 1
        for kernel, stride in self._kernels:
            reach += (kernel - 1) * step
            step *= stride
        return reach, step

    def times(self, n_samples: int) -> Tensor:
        """Return the centres of the embeddings in seconds; ``wavlm-large``: 12.5 ms + i * 20 ms."""
        reach, step = self._reach
        n = max(0, n_samples - reach) // step + 1
        centres = torch.arange(n, dtype=torch.float64) * step + reach / 2
        times: Tensor = centres / self.sample_rate
        return times

    def hidden_states(self, signal: Tensor) -> Tensor:
        """Return ``(total_layers, frames, size)``; a shorter signal than a frame gets zeros."""
        if self.normalise:
            variance = signal.var(correction=0)
            signal = (signal - signal.mean()) / (variance + 1e-7).sqrt()
        signal = F.pad(signal, (0, max(0, self._reach[0] - len(signal))))
        output = self._model(signal[None].to(self._device), output_hidden_states=True)
        return torch.cat(output.hidden_states)


def _load(path: str, offline: bool) -> tuple[Any, Any, dict[str, Any]]:
    """Return configuration, model and preprocessor configuration."""
    with needed_for("the embedder hub"):
        from transformers import AutoConfig, AutoModel
        from transformers.feature_extraction_utils import FeatureExtractionMixin
    options: dict[str, Any] = {"local_files_only": offline or Path(path).exists()}
    try:
        config = AutoConfig.from_pretrained(path, **options)
    except (OSError, ValueError) as error:
        raise FileNotFoundError(
            f"embedder {path!r}: neither the folder of a model saved by transformers nor one that "
            f"could be had from the hub ({str(error).splitlines()[0]})"
        ) from error
    if config.model_type not in FAMILIES:
        raise ValueError(
            f"embedder {path!r} must be one of {', '.join(FAMILIES)}; it is {config.model_type!r}"
        )
    model = AutoModel.from_pretrained(path, config=config, use_safetensors=None, **options)
    try:
        settings, _ = FeatureExtractionMixin.get_feature_extractor_dict(path, **options)
    except OSError:  # a model saved without its preprocessor
        settings = {}
    return config, model, settings
