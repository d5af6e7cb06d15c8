r"""Units of the energy ratios and of the metrics that are means over frames.

With s_t, e_i, e_a of the projection of the *whole* estimate on speech and noise (see ``ratios``),
a sample t is a unit:

    SI-SDR: |s_t(t)|^2 over |e_i(t) + e_a(t)|^2        SI-SIR: |s_t(t)|^2 over |e_i(t)|^2
    SI-SAR: |s_t(t) + e_i(t)|^2 over |e_a(t)|^2        SNR: |s(t)|^2 over |s(t) - estimate(t)|^2

The gain of the estimate is thus one for the utterance, not one for each phone, and an error counts
where it is made. For FW-SDR, -SIR, -SAR, segmental SNR, fwSNRseg and the log-spectral distance a
frame is a unit, which lies where its centre does; frames of 30 ms reach 15 ms into the neighbours.
"""

from __future__ import annotations

import torch
from torch import Tensor

from asteroid.dsp.projection import project, remove_mean

from .band_ratios import fw_frames, fw_hop
from .metric import Rows
from .pooling_units import Units
from .ratios import split
from .segmental import frame_and_hop, fw_seg_snr_frames, lsd_frames, seg_snr_frames

__all__ = ["FRAMES", "SAMPLES"]


def _si_sdr(rows: Rows) -> Units:
    part = project(rows.estimate, rows.target)
    return _samples(part.scale[:, None] * remove_mean(rows.target), part.distortion)


def _si_sir(rows: Rows) -> Units:
    parts = split(rows, published=False)
    return _samples(parts.target, parts.interference)


def _si_sar(rows: Rows) -> Units:
    parts = split(rows, published=False)
    return _samples(parts.target + parts.interference, parts.artefact)


def _si_sar_leroux(rows: Rows) -> Units:
    parts = split(rows, published=False)
    return _samples(parts.target, parts.artefact)


def _snr(rows: Rows) -> Units:
    return _samples(rows.target, rows.target - rows.estimate)


def _samples(above: Tensor, below: Tensor) -> Units:
    """Make every sample a unit with its two energies."""
    centres = torch.arange(above.shape[-1], dtype=torch.float64)
    return Units("ratio", centres, above[0].square().cpu(), below[0].square().cpu())


def _fw(rows: Rows, ratio: str) -> Units:
    # the transform is centred: frame i lies at i hops
    last, hop = rows.target.shape[-1] - 1, fw_hop(rows.sample_rate)
    return Units.mean_of(*fw_frames(rows, ratio), 0.0, hop, last)


def _fw_sdr(rows: Rows) -> Units:
    return _fw(rows, "sdr")


def _fw_sir(rows: Rows) -> Units:
    return _fw(rows, "sir")


def _fw_sar(rows: Rows) -> Units:
    return _fw(rows, "sar")


def _segmental(values: Tensor, counts: Tensor, sample_rate: int) -> Units:
    length, hop = frame_and_hop(sample_rate)
    return Units.mean_of(values, counts, (length - 1) / 2, hop)


def _seg_snr(rows: Rows) -> Units:
    return _segmental(*seg_snr_frames(rows), rows.sample_rate)


def _fw_seg_snr(rows: Rows) -> Units:
    return _segmental(*fw_seg_snr_frames(rows), rows.sample_rate)


def _lsd(rows: Rows) -> Units:
    return _segmental(*lsd_frames(rows), rows.sample_rate)


SAMPLES = {
    "si_sdr": _si_sdr,
    "si_sir": _si_sir,
    "si_sar": _si_sar,
    "si_sar_leroux": _si_sar_leroux,
    "snr": _snr,
}
FRAMES = {
    "fw_sdr": _fw_sdr,
    "fw_sir": _fw_sir,
    "fw_sar": _fw_sar,
    "seg_snr": _seg_snr,
    "fw_seg_snr": _fw_seg_snr,
    "lsd": _lsd,
}
