"""Scale-invariant energy ratios of an estimate split into target, interference and artefact.

With Q the orthogonal projection of the mean-free estimate onto the plane of speech and noise, s_t
its projection onto the speech alone, e_i = Q - s_t and e_a = estimate - Q, the three parts are
orthogonal, so the ratios are consistent: SI-SDR is never above SI-SIR or SI-SAR. The original
projected onto speech and noise *separately*, which is only right where these are uncorrelated;
``variant="published"`` gives its numbers.
"""

from __future__ import annotations

import torch
from torch import Tensor

from asteroid.dsp.projection import Decomposition, decompose, project, remove_mean

from .memory import once
from .metric import Rows, Scores, metric

__all__ = [
    "energy_ratio_db",
    "energy_signals",
    "si_sar",
    "si_sar_leroux",
    "si_sdr",
    "si_sir",
    "snr",
]

# Ratios beyond +-150 dB are not distinguished: float32 audio resolves about 140 dB.
RESOLUTION = 1e-15
LIMITS_DB = (-150.0, 150.0)
# Squared cosine to 1 within rounding of float32 files: the two signals are one.
SAME_DIRECTION = 1e-12
# The constant and the limits of the original.
PUBLISHED_EPS = 1e-8
PUBLISHED_LIMITS_DB = (-10.0, 35.0)

VARIANTS = ("default", "published")


def energy_ratio_db(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Return 10 log10 of a ratio of energies, within +-150 dB; NaN where both are zero.

    >>> energy_ratio_db(torch.tensor([10.0, 1.0]), torch.tensor([1.0, 0.0]))
    tensor([ 10., 150.])
    """
    floor = RESOLUTION * (numerator + denominator)  # relative, hence free of level
    return 10 * torch.log10((numerator + floor) / (denominator + floor))


def check_variant(variant: str) -> bool:
    """Return whether the published variant is asked for.

    Raises:
        ValueError: The variant is not known.
    """
    if variant not in VARIANTS:
        raise ValueError(f"variant must be one of {', '.join(VARIANTS)}; got {variant!r}")
    return variant == "published"


@metric(
    "si_sdr",
    "SI-SDR",
    bounds=LIMITS_DB,
    source="Le Roux et al.: SDR - half-baked or well done?, ICASSP 2019, eq. 5",
)
def si_sdr(rows: Rows, *, variant: str = "default") -> Scores:
    """Scale-invariant signal-to-distortion ratio: ||s_t||^2 / ||estimate - s_t||^2."""
    return _scores(rows, "si_sdr", variant)


@metric(
    "si_sir",
    "SI-SIR",
    bounds=LIMITS_DB,
    needs=("estimate", "target", "noise"),
    source="Le Roux et al. 2019, eq. 7; joint projection as in Vincent, Gribonval, Fevotte 2006",
)
def si_sir(rows: Rows, *, variant: str = "default") -> Scores:
    """Scale-invariant signal-to-interference ratio: ||s_t||^2 / ||e_i||^2."""
    return without_copies(_scores(rows, "si_sir", variant), rows)


@metric(
    "si_sar",
    "SI-SAR",
    bounds=LIMITS_DB,
    needs=("estimate", "target", "noise"),
    source="Vincent, Gribonval, Fevotte: BSS-eval, IEEE TASLP 14(4), 2006, eq. 20",
)
def si_sar(rows: Rows, *, variant: str = "default") -> Scores:
    """Scale-invariant signal-to-artefact ratio, as in BSS-eval: ||s_t + e_i||^2 / ||e_a||^2."""
    return _scores(rows, "si_sar", variant)


@metric(
    "si_sar_leroux",
    "SI-SAR (Le Roux)",
    bounds=LIMITS_DB,
    needs=("estimate", "target", "noise"),
    source="Le Roux et al. 2019, eq. 8",
)
def si_sar_leroux(rows: Rows) -> Scores:
    """Scale-invariant signal-to-artefact ratio of the target alone: ||s_t||^2 / ||e_a||^2.

    With it 10^(-SDR/10) = 10^(-SIR/10) + 10^(-SAR/10).
    """
    return _scores(rows, "si_sar_leroux")


@metric(
    "snr",
    "SNR",
    bounds=LIMITS_DB,
    sounding=("target",),
    source="||target||^2 / ||target - estimate||^2, no mean removed; Hu and Loizou 2008",
)
def snr(rows: Rows) -> Scores:
    """Signal-to-noise ratio of the estimate; its level counts, and a silent estimate has 0 dB."""
    return _scores(rows, "snr")


def energy_signals(rows: Rows, ratio: str, variant: str = "default") -> tuple[Tensor, Tensor]:
    """Return the two signals ``(rows, time)`` whose energies a ratio compares.

    ``ratio`` is the name of a metric of this module; ``variant`` says how the estimate is split.
    """
    published = check_variant(variant)
    if ratio == "snr":
        return rows.target, rows.target - rows.estimate
    if ratio == "si_sdr":
        part = project(rows.estimate, rows.target)
        return part.scale[:, None] * remove_mean(rows.target), part.distortion
    parts = split(rows, published=published)
    if ratio == "si_sar":
        return parts.target + parts.interference, parts.artefact
    return parts.target, parts.interference if ratio == "si_sir" else parts.artefact


def split(rows: Rows, *, published: bool) -> Decomposition:
    """Split the estimate into target, interference and artefact, each mean-free."""
    decomposition = "separate" if published else "joint"
    return _split(rows.estimate, rows.target, rows.noise, decomposition)


@once
def _split(estimate: Tensor, target: Tensor, noise: Tensor, decomposition: str) -> Decomposition:
    return decompose(estimate, target, noise, decomposition=decomposition)


def without_copies(scores: Scores, rows: Rows) -> Scores:
    """Withdraw scores that tell speech from noise where one is a multiple of the other."""
    target, noise = (x - x.mean(-1, keepdim=True) for x in (rows.target, rows.noise))
    common = (target * noise).sum(-1).square()
    # The squared cosine of their angle against 1, without a division by zero.
    apart = common < (1 - SAME_DIRECTION) * target.square().sum(-1) * noise.square().sum(-1)
    return scores.only(apart, "the noise is a multiple of the target")


def _scores(rows: Rows, ratio: str, variant: str = "default") -> Scores:
    """Score rows by a ratio of energies."""
    signals = energy_signals(rows, ratio, variant)
    above, below = (signal.square().sum(-1) for signal in signals)
    if variant == "default":
        return Scores.of(energy_ratio_db(above, below))
    share = above / (below + PUBLISHED_EPS) + PUBLISHED_EPS
    return Scores.of((10 * torch.log10(share)).clamp(*PUBLISHED_LIMITS_DB))
