"""SDR of BSS-eval: the reference may pass a filter of 512 taps before it is compared."""

from __future__ import annotations

import torch

from .metric import Rows, Scores, metric

__all__ = ["sdr"]

FILTER_TAPS = 512


@metric(
    "sdr",
    "SDR",
    source="Vincent, Gribonval, Fevotte: BSS-eval, IEEE TASLP 14(4), 2006; fast_bss_eval",
)
def sdr(rows: Rows) -> Scores:
    """Signal-to-distortion ratio of BSS-eval (version 3), forgiving any filter of 512 taps.

    NaN for signals of less than 512 samples and where the reference's autocorrelation is singular,
    as that of a pure tone.

    Raises:
        ModuleNotFoundError: the library is not installed.
    """
    try:
        import fast_bss_eval
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("SDR needs fast_bss_eval: pip install fast-bss-eval") from error
    if rows.target.shape[-1] < FILTER_TAPS:
        nothing = torch.full((len(rows.target),), torch.nan, dtype=torch.float64)
        return Scores(nothing, (f"shorter than {FILTER_TAPS} samples",) * len(rows.target))
    values = []
    for target, estimate in zip(rows.target, rows.estimate, strict=True):
        # A row of its own: a singular one raises for the whole batch.
        try:
            score = fast_bss_eval.sdr(target[None], estimate[None], filter_length=FILTER_TAPS)
        except RuntimeError:
            score = target.new_full((1,), torch.nan)
        values.append(score[0])
    scores = torch.stack(values)
    return Scores.of(scores).only(scores.isfinite(), "the reference's autocorrelation is singular")
