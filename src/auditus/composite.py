"""Composite measures: the ratings of ITU-T P.835 predicted from LLR, WSS, segmental SNR and PESQ.

    CSIG = 3.093 - 1.029 LLR + 0.603 PESQ - 0.009 WSS                   distortion of the speech
    CBAK = 1.634             + 0.478 PESQ - 0.007 WSS + 0.063 segSNR    intrusion of the background
    COVL = 1.594 - 0.512 LLR + 0.805 PESQ - 0.007 WSS                   overall

each limited to 1 .. 5. LLR (here without its limit of 2 per frame) and WSS are means over the best
95 % of the frames, segmental SNR over all frames that hold a signal.

Which PESQ: papers differ, and mixing them moves CSIG by some tenths. At 16 kHz it is the wide-band
MOS-LQO of P.862.2, as in the programs of the second edition of Loizou's book and in the papers on
Voice Bank + DEMAND. At 8 kHz it is the raw narrow-band score of P.862, which the regression was
fitted to, before the mapping of P.862.1.
"""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor

from .memory import once
from .metric import Rows, Scores, mean_where, metric
from .perceptual import PESQ_MIN_SECONDS, pesq_nb, pesq_wb
from .segmental import seg_snr_frames
from .spectral_distance import llr_frames, mean_of_best, wss_frames

__all__ = ["cbak", "covl", "csig", "raw_pesq"]

LIMITS = (1.0, 5.0)
NARROW_BAND_HZ = 8000

_composite = partial(
    metric,
    unit="MOS",
    bounds=LIMITS,
    min_seconds=PESQ_MIN_SECONDS,
    sample_rates=(NARROW_BAND_HZ, 16000),
    source="Hu and Loizou, IEEE TASLP 16(1), 2008, table VIII; composite.m of Loizou 2013",
)


@_composite("csig", "CSIG")
def csig(rows: Rows) -> Scores:
    """Predicted rating of the speech's distortion."""
    return _predicted(rows, 3.093, llr=-1.029, pesq=0.603, wss=-0.009)


@_composite("cbak", "CBAK")
def cbak(rows: Rows) -> Scores:
    """Predicted rating of the background's intrusion."""
    return _predicted(rows, 1.634, pesq=0.478, wss=-0.007, seg_snr=0.063)


@_composite("covl", "COVL")
def covl(rows: Rows) -> Scores:
    """Predicted overall rating."""
    return _predicted(rows, 1.594, pesq=0.805, llr=-0.512, wss=-0.007)


def raw_pesq(mos_lqo: Tensor) -> Tensor:
    """Undo the mapping of ITU-T P.862.1 from the raw score of P.862 to MOS-LQO.

    >>> raw_pesq(torch.tensor([4.5486]))
    tensor([4.4999])
    """
    return (4.6607 - torch.log((4.999 - mos_lqo) / (mos_lqo - 0.999))) / 1.4945


def _predicted(rows: Rows, constant: float, **weights: float) -> Scores:
    """Add up the weighted parts, limited to the scale; NaN where PESQ is, for its reason."""
    quality = (pesq_nb if rows.sample_rate == NARROW_BAND_HZ else pesq_wb).core(rows)
    parts = {"pesq": quality.values} | _parts(rows.target, rows.estimate, rows.sample_rate)
    if rows.sample_rate == NARROW_BAND_HZ:
        parts["pesq"] = raw_pesq(quality.values)
    # In the order of the formulas above, so that rounding is theirs too.
    values = torch.tensor(constant, dtype=torch.float64)
    for name, weight in weights.items():
        values = values + weight * parts[name]
    limited = values.clamp(*LIMITS)
    reasons = [
        quality.reasons[row] or ("" if math.isfinite(value) else "not defined for these signals")
        for row, value in enumerate(limited.tolist())
    ]
    return Scores(limited, tuple(reasons))


@once
def _parts(target: Tensor, estimate: Tensor, sample_rate: int) -> dict[str, Tensor]:
    """Return LLR, WSS and segmental SNR, each ``(rows,)`` on the CPU."""
    rows = Rows({"target": target, "estimate": estimate}, sample_rate)
    # The last whole frame is left out of segmental SNR, as it is of the other two.
    ratios, counts = (part[:, :-1] for part in seg_snr_frames(rows))
    parts = {
        "llr": mean_of_best(*llr_frames(rows)),
        "wss": mean_of_best(*wss_frames(rows)),
        "seg_snr": mean_where(ratios, counts),
    }
    return {name: part.cpu() for name, part in parts.items()}
