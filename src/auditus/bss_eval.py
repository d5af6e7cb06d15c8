"""SDR of BSS-eval: the reference may pass a filter of 512 taps before it is compared."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from asteroid.utils.optional import needed_for

from .metric import Rows, Scores, metric
from .ratios import LIMITS_DB, energy_ratio_db

__all__ = ["sdr"]

FILTER_TAPS = 512
# Above this the library's 1 - coherence is rounding: it gives infinity or noise for a copy.
EXACT_DB = 100.0


@metric(
    "sdr",
    "SDR",
    bounds=LIMITS_DB,
    source="Vincent, Gribonval, Fevotte: BSS-eval, IEEE TASLP 14(4), 2006; fast_bss_eval",
)
def sdr(rows: Rows) -> Scores:
    """Signal-to-distortion ratio of BSS-eval (version 3), forgiving any filter of 512 taps.

    NaN for signals of less than 512 samples and where the reference's autocorrelation is singular,
    as that of a pure tone, unless the estimate is a filtered copy of it.

    Raises:
        ModuleNotFoundError: The library is not installed.
    """
    with needed_for("SDR"):
        import fast_bss_eval
    if rows.target.shape[-1] < FILTER_TAPS:
        nothing = torch.full((len(rows.target),), torch.nan, dtype=torch.float64)
        return Scores(nothing, (f"shorter than {FILTER_TAPS} samples",) * len(rows.target))
    values = []
    for target, estimate in zip(rows.target, rows.estimate, strict=True):
        # A row of its own: a singular one raises for the whole batch.
        try:
            score = fast_bss_eval.sdr(target[None], estimate[None], filter_length=FILTER_TAPS)[0]
        except RuntimeError:
            score = target.new_tensor(torch.nan)
        if not score < EXACT_DB:
            exact = _sdr_of_residual(target.cpu(), estimate.cpu()).to(score.device)
            # Less than that: the system was singular, and the library's value means nothing.
            score = exact if exact >= EXACT_DB else score.new_tensor(torch.nan)
        values.append(score)
    scores = torch.stack(values).clamp(*LIMITS_DB)
    return Scores.of(scores).only(scores.isfinite(), "the reference's autocorrelation is singular")


def _sdr_of_residual(target: Tensor, estimate: Tensor) -> Tensor:
    """Return the ratio by what a filter of the target leaves of the estimate, both ``(samples,)``.

    No filter leaves less than the best one, so that a value is never too high, however ill
    conditioned the equations are.
    """
    n_samples = len(target) + FILTER_TAPS - 1  # of a filtered target
    spectrum = torch.fft.rfft(target, n_samples)
    correlation = torch.fft.irfft(spectrum.abs().square(), n_samples)[:FILTER_TAPS]
    cross = spectrum.conj() * torch.fft.rfft(estimate, n_samples)
    # The normal equations of the best filter: a Toeplitz matrix of the autocorrelation.
    lags = torch.arange(FILTER_TAPS)
    taps = torch.linalg.lstsq(
        correlation[(lags[:, None] - lags).abs()],
        torch.fft.irfft(cross, n_samples)[:FILTER_TAPS, None],
        driver="gelsd",  # copes with singular equations
    ).solution[:, 0]
    filtered = torch.fft.irfft(spectrum * torch.fft.rfft(taps, n_samples), n_samples)
    residual = nn.functional.pad(estimate, (0, FILTER_TAPS - 1)) - filtered
    return energy_ratio_db(filtered.square().sum(), residual.square().sum())
