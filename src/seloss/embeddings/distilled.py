"""Embeddings of a small model distilled from XLS-R, which comes in a package of the index."""

from __future__ import annotations

import contextlib
import io

import torch
import torch.nn.functional as F
from torch import Tensor

from asteroid.utils.optional import needed_for

from .embedder import ALL_LAYERS, EMBEDDERS, SpeechEmbedder, weights_digest

__all__ = ["DistilledXlsr"]

WINDOW = 122_880  # samples that the model takes at once: 7.68 s
PERIOD, FIRST_CENTRE = 320, 80  # samples between embeddings, and the centre of the first


@EMBEDDERS.register("distilled_xlsr")
class DistilledXlsr(SpeechEmbedder):
    """The inside of DistillMOS: 4.13 M parameters, trained with XLS-R to score speech quality.

    Layer 0 is the projected output of its convolutions with the position encoding, layers 1 to 7
    are those of its transformer; vectors of 200 numbers every 20 ms. Signals longer than 7.68 s go
    through in windows of that length, half overlapping, and an embedding is taken from the window
    in which it is nearest to the middle. Windows are scaled to a peak of 1, as the model expects.

    Every embedding knows all of its window: not causal.

    Args:
        layer: 0 to 7, negative from the end, or ``"all"``.
        device: Where it runs.

    Raises:
        ModuleNotFoundError: The package ``distillmos`` is not installed.

    Source: Stahl and Gamper, "Distillation and pruning for scalable self-supervised
        representation-based speech quality assessment", 2025; package distillmos, MIT licence.
    """

    size = 200
    total_layers = 8

    def __init__(self, layer: int | str = ALL_LAYERS, device: str = "cpu") -> None:
        super().__init__(layer)
        with needed_for("the embedder distilled_xlsr"):
            from distillmos.sqa import ConvTransformerSQAModel
        with contextlib.redirect_stdout(io.StringIO()):  # it prints where its weights are
            self._model = ConvTransformerSQAModel().eval().requires_grad_(False).to(device)
        self._device = device
        self.identity = {"model": "distillmos variant 7", "weights": weights_digest(self._model)}
        self.check_layer()

    def times(self, n_samples: int) -> Tensor:
        """Return the centres of the embeddings in seconds: every 20 ms from 5 ms on."""
        n = max(1, -(-n_samples // PERIOD))
        times: Tensor = (torch.arange(n, dtype=torch.float64) * PERIOD + FIRST_CENTRE) / 16000
        return times

    def hidden_states(self, signal: Tensor) -> Tensor:
        """Return ``(8, frames, 200)``."""
        n, half = len(self.times(len(signal))), WINDOW // 2
        # The fewest windows, half a window apart, that cover the signal.
        n_windows = max(1, -(-(len(signal) - WINDOW) // half) + 1)
        padded = F.pad(signal, (0, (n_windows - 1) * half + WINDOW - len(signal)))
        windows = padded.unfold(0, WINDOW, half).to(self._device)
        states = torch.stack([self._window(window[None])[:, 0] for window in windows], dim=1)
        per_window, step = WINDOW // PERIOD, half // PERIOD
        frame = torch.arange(n)
        # A window is best between its quarters; the first and the last also serve their ends.
        best = ((frame - per_window // 4).div(step, rounding_mode="floor")).clamp(0, n_windows - 1)
        return states.cpu()[:, best, frame - best * step]

    def _window(self, x: Tensor) -> Tensor:
        """All layers ``(8, 1, frames, 200)`` of one window ``(1, samples)``."""
        x = x / (x.abs().amax(dim=1, keepdim=True) + 1e-8)
        head = self._model.transformer_pool_attn
        wrapper = head.transformer
        y = wrapper.norm(head.norm_input(self._model.cnn(x))).transpose(1, 2)
        y = wrapper.position_encoding(wrapper.linear_proj(y))
        states = [y]
        for layer in wrapper.transformer_encoder.layers:
            states.append(layer(states[-1]))
        return torch.stack(states)
