"""Callback that logs audio and spectrograms of a few fixed validation utterances."""

from __future__ import annotations

from typing import Any

import matplotlib
import pytorch_lightning as pl
import torch

from seloss.data.formats.batch import Batch
from seloss.train.callbacks.loggers import show_media

__all__ = ["Listening", "spectrogram_image"]

N_FFT, HOP_LENGTH, RANGE_DB = 512, 128, 70.0


class Listening(pl.Callback):
    """Log the first ``count`` validation utterances: mixture and target once, every estimate.

    Args:
        count: How many utterances.
        sample_rate: Hz.
    """

    def __init__(self, count: int, sample_rate: int) -> None:
        self.count = count
        self.sample_rate = sample_rate
        self._seen = 0

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin with the first utterance again."""
        self._seen = 0

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Log the utterances of this batch that are among the first."""
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        for row, name in enumerate(batch.ids[: max(0, self.count - self._seen)]):
            length = int(batch.lengths[row])
            signals = {"estimate": outputs[row, 0, :length]}
            if trainer.current_epoch == 0:
                signals["mixture"] = batch.mixture[row, 0, :length]
                signals["target"] = batch.sources[row, 0, :length]
            for kind, signal in signals.items():
                self._log(f"{name}/{kind}", signal.detach().float().cpu(), trainer)
        self._seen += len(batch.ids)

    def _log(self, name: str, signal: torch.Tensor, trainer: pl.Trainer) -> None:
        level = signal.abs().amax().clamp_min(torch.finfo(signal.dtype).tiny)
        step = max(0, trainer.global_step - 1)  # as Lightning's scalars
        image = spectrogram_image(signal)
        for logger in trainer.loggers:
            show_media(logger, name, 0.9 * signal / level, image, self.sample_rate, step)


def spectrogram_image(signal: torch.Tensor) -> torch.Tensor:
    """Return a spectrogram ``(3, frequencies, frames)`` in [0, 1] of a signal ``(samples,)``.

    Low frequencies lie at the bottom; the colours span the 70 dB below the maximum, so the level of
    the signal does not show.
    """
    padded = torch.nn.functional.pad(signal, (0, max(0, N_FFT - signal.shape[-1])))
    window = torch.hann_window(N_FFT)
    spectrum = torch.stft(padded, N_FFT, HOP_LENGTH, window=window, return_complex=True).abs()
    level = 20 * torch.log10(spectrum / spectrum.max().clamp_min(1e-12) + 1e-12)
    # 0 dB is 1, -70 dB is 0; row 0 of a picture is its top.
    shade = (level / RANGE_DB + 1).clamp(0, 1).flip(0)
    colours = matplotlib.colormaps["magma"](shade.numpy())
    return torch.from_numpy(colours[..., :3]).permute(2, 0, 1)
