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

import torch
from torch import Tensor

from .memory import once
from .metric import Core, Metric, Rows, Scores, metric
from .perceptual import PESQ_MIN_SECONDS, pesq_nb, pesq_wb
from .segmental import seg_snr_frames
from .spectral_distance import llr_frames, mean_of_best, wss_frames

__all__ = ["cbak", "covl", "csig", "raw_pesq"]

LIMITS = (1.0, 5.0)
NARROW_BAND_HZ = 8000
_SOURCE = "Hu and Loizou, IEEE TASLP 16(1), 2008, table VIII; composite.m of Loizou 2013"


def _composite(name: str, label: str, core: Core) -> Metric:
    build = metric(
        name,
        label,
        unit="MOS",
        bounds=LIMITS,
        min_seconds=PESQ_MIN_SECONDS,
        sample_rates=(NARROW_BAND_HZ, 16000),
        source=_SOURCE,
    )
    return build(core)


def _csig(rows: Rows) -> Scores:
    """Predicted rating of the speech's distortion."""
    likelihood, slope, _ = _parts(rows)
    quality = _quality(rows)
    values = 3.093 - 1.029 * likelihood + 0.603 * quality.values - 0.009 * slope
    return _rating(values, quality)


def _cbak(rows: Rows) -> Scores:
    """Predicted rating of the background's intrusion."""
    _, slope, snr = _parts(rows)
    quality = _quality(rows)
    values = 1.634 + 0.478 * quality.values - 0.007 * slope + 0.063 * snr
    return _rating(values, quality)


def _covl(rows: Rows) -> Scores:
    """Predicted overall rating."""
    likelihood, slope, _ = _parts(rows)
    quality = _quality(rows)
    values = 1.594 + 0.805 * quality.values - 0.512 * likelihood - 0.007 * slope
    return _rating(values, quality)


csig = _composite("csig", "CSIG", _csig)
cbak = _composite("cbak", "CBAK", _cbak)
covl = _composite("covl", "COVL", _covl)


def raw_pesq(mos_lqo: Tensor) -> Tensor:
    """Undo the mapping of ITU-T P.862.1 from the raw score of P.862 to MOS-LQO.

    >>> raw_pesq(torch.tensor([4.5486]))
    tensor([4.4999])
    """
    return (4.6607 - torch.log((4.999 - mos_lqo) / (mos_lqo - 0.999))) / 1.4945


def _quality(rows: Rows) -> Scores:
    """Return the PESQ that belongs to the rate, NaN with its reason."""
    if rows.sample_rate != NARROW_BAND_HZ:
        return pesq_wb.core(rows)
    narrow = pesq_nb.core(rows)
    return Scores(raw_pesq(narrow.values), narrow.reasons)


def _parts(rows: Rows) -> tuple[Tensor, Tensor, Tensor]:
    """Return LLR, WSS and segmental SNR, each ``(rows,)`` on the CPU."""
    return _parts_of(rows.target, rows.estimate, rows.sample_rate)


@once
def _parts_of(target: Tensor, estimate: Tensor, sample_rate: int) -> tuple[Tensor, Tensor, Tensor]:
    rows = Rows({"target": target, "estimate": estimate}, sample_rate)
    likelihood = mean_of_best(*llr_frames(rows))
    slope = mean_of_best(*wss_frames(rows))
    # The last whole frame is left out, as it is of the other two.
    ratios, counts = (part[:, :-1] for part in seg_snr_frames(rows))
    snr = torch.where(counts, ratios, 0.0).sum(-1) / counts.sum(-1)
    return likelihood.cpu(), slope.cpu(), snr.cpu()


def _rating(values: Tensor, quality: Scores) -> Scores:
    """Limit the values; NaN where PESQ is, for its reason."""
    limited = values.clamp(*LIMITS)
    reasons = [
        quality.reasons[row] or ("" if math.isfinite(value) else "not defined for these signals")
        for row, value in enumerate(limited.tolist())
    ]
    return Scores(limited, tuple(reasons))
