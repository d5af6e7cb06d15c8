r"""Metrics of parts of an utterance, phones for instance, without cutting the audio.

Everything is computed on the whole utterance; then samples, frames or windows are summed over the
part they lie in (see ``pooling_units``, and ``pooling_stoi`` for STOI). Cutting instead loses what
needs context: phones last 30 to 150 ms, while STOI is not defined below 0.42 s of speech and PESQ
below 0.25 s.

With s_t, e_i, e_a of the projection of the *whole* estimate on speech and noise (see ``ratios``),
a sample t is a unit:

    SI-SDR: |s_t(t)|^2 over |e_i(t) + e_a(t)|^2        SI-SIR: |s_t(t)|^2 over |e_i(t)|^2
    SI-SAR: |s_t(t) + e_i(t)|^2 over |e_a(t)|^2        SNR: |s(t)|^2 over |s(t) - estimate(t)|^2

The gain of the estimate is thus one for the utterance, not one for each phone, and an error counts
where it is made. For FW-SDR, -SIR, -SAR, segmental SNR, fwSNRseg and the log-spectral distance a
frame is a unit, which lies where its centre does; frames of 30 ms reach 15 ms into the neighbours.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from .band_ratios import fw_frames, fw_hop
from .metric import Metric, Rows, Scores
from .pooling_stoi import STOI
from .pooling_units import PartSums, Units, pool
from .ratios import energy_signals, without_copies
from .segmental import frame_and_hop, fw_seg_snr_frames, lsd_frames, seg_snr_frames

__all__ = ["POOLED", "PartSums", "Units", "measure_units", "pool", "why_not_pooled"]


def _samples(rows: Rows, ratio: str) -> Units:
    """Make every sample a unit with its two energies."""
    above, below = energy_signals(rows, ratio)
    centres = torch.arange(above.shape[-1], dtype=torch.float64)
    return Units("ratio", centres, above[0].square().cpu(), below[0].square().cpu())


def _weighted(rows: Rows, ratio: str) -> Units:
    # The transform is centred: frame i lies at i hops, the last one at the end of the signal.
    last, hop = rows.target.shape[-1] - 1, fw_hop(rows.sample_rate)
    return Units.mean_of(*fw_frames(rows, ratio), 0.0, hop, last)


def _segmental(rows: Rows, frames: Callable[[Rows], tuple[Tensor, Tensor]]) -> Units:
    length, hop = frame_and_hop(rows.sample_rate)
    return Units.mean_of(*frames(rows), (length - 1) / 2, hop)


#: Metric name -> function of one row of signals.
POOLED: dict[str, Callable[[Rows], Units]] = {
    **{
        name: partial(_samples, ratio=name)
        for name in ("si_sdr", "si_sir", "si_sar", "si_sar_leroux", "snr")
    },
    **{f"fw_{ratio}": partial(_weighted, ratio=ratio) for ratio in ("sdr", "sir", "sar")},
    "seg_snr": partial(_segmental, frames=seg_snr_frames),
    "fw_seg_snr": partial(_segmental, frames=fw_seg_snr_frames),
    "lsd": partial(_segmental, frames=lsd_frames),
    **STOI,
}
# Not defined where the noise is a multiple of the speech: nothing distinguishes the two.
_INTERFERENCE = ("si_sir", "fw_sir")


def measure_units(
    metric: Metric,
    estimate: Tensor,
    target: Tensor,
    noise: Tensor | None = None,
    *,
    sample_rate: int,
) -> Units:
    """Return what a metric of one utterance is made of along time.

    Args:
        metric: One of ``POOLED``.
        estimate: ``(samples,)``, any real dtype and device.
        target: ``(samples,)``.
        noise: ``(samples,)``; only some metrics need it.
        sample_rate: In Hz.

    Returns:
        The units; none, with the reason, where the metric of the utterance is not defined.

    Raises:
        ValueError: The metric cannot be pooled, or shapes do not fit.

    Example:
        >>> from auditus import get_metric
        >>> speech, noise = torch.randn(2, 16000, generator=torch.Generator().manual_seed(0))
        >>> mixture = speech.clone()
        >>> mixture[8000:] += 0.1 * noise[8000:]
        >>> units = measure_units(get_metric("si_sdr"), mixture, speech, sample_rate=16000)
        >>> halves = pool(units, torch.tensor([[0, 8000], [8000, 16000]]))
        >>> bool(halves.values[0] > 50), round(float(halves.values[1]))
        (True, 20)
    """
    if metric.name not in POOLED:
        raise ValueError(why_not_pooled(metric.name))
    measured: list[Units] = []

    def capture(rows: Rows) -> Scores:
        units = POOLED[metric.name](rows)
        scores = Scores.of(torch.tensor([units.whole], dtype=torch.float64))
        if units.reason:
            scores = Scores(scores.values, (units.reason,))
        measured.append(units)
        return without_copies(scores, rows) if metric.name in _INTERFERENCE else scores

    # the checks of the metric itself, around another core
    whole = dataclasses.replace(metric, core=capture).measure(
        *(None if x is None else x[None] for x in (estimate, target, noise)),  # type: ignore[arg-type]
        sample_rate=sample_rate,
    )
    if not whole.reasons[0]:
        return measured[0]
    nothing = torch.zeros(0, dtype=torch.float64)
    return Units("mean", nothing, nothing, nothing, whole.reasons[0])


def why_not_pooled(name: str) -> str:
    """Say why a metric has no value for a part of an utterance; "" if it has one."""
    if name in POOLED:
        return ""
    return (
        f"{name} is one score of a whole signal and cannot be pooled: ask for it on joined "
        f"segments (method concatenated); these can be pooled: {', '.join(POOLED)}"
    )
