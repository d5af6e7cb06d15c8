"""Statistics of paired comparisons, on arrays.

The unit that is drawn at random is the *cluster*: an utterance with all its phones, or a speaker
with all utterances. A mean is the ratio `sum of values x weights / sum of weights` over all units,
and the bootstrap draws clusters with replacement, so units of one cluster stay together.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from asteroid.utils.optional import needed_for

__all__ = [
    "CORRECTIONS",
    "TESTS",
    "ClusterSums",
    "adjust",
    "bootstrap_means",
    "dominance",
    "effect_size",
    "interval",
    "paired_test",
    "seed_test",
    "with_ties",
]

Array = NDArray[np.float64]

TESTS = ("wilcoxon", "permutation", "t")
CORRECTIONS = ("holm", "bonferroni", "fdr_bh", "none")
# Sign patterns are enumerated up to this many clusters, drawn beyond.
EXACT_CLUSTERS = 14
FLIPS = 19_999
# Draws of the bootstrap made at a time: bounds the memory.
DRAWS_AT_ONCE = 500


@dataclass(frozen=True)
class ClusterSums:
    """One mean, by cluster.

    Attributes:
        values: `(seeds, clusters)` sums of value x weight of the units of each cluster, one row per
            trained network.
        weights: `(clusters,)` sums of the weights; 0 where a cluster has no unit.
    """

    values: Array
    weights: Array

    @property
    def filled(self) -> NDArray[np.bool_]:
        """Whether each cluster has a unit `(clusters,)`."""
        return np.asarray(self.weights > 0)

    @property
    def mean(self) -> float:
        """The mean over seeds and units; NaN without a unit."""
        total = self.weights.sum()
        return float(self.values.sum() / len(self.values) / total) if total > 0 else math.nan

    @property
    def seed_means(self) -> Array:
        """The mean of each seed `(seeds,)`."""
        total = self.weights.sum()
        return np.asarray(self.values.sum(1) / (total if total > 0 else math.nan))

    @property
    def cluster_means(self) -> Array:
        """The mean of each cluster that has a unit, over the seeds."""
        means: Array = self.values[:, self.filled].mean(0) / self.weights[self.filled]
        return means


def _draws(n_clusters: int, n_draws: int, seed: int) -> Iterator[tuple[slice, Array]]:
    """Yield how often each cluster is drawn, `(draws, clusters)`, some draws at a time."""
    # 0, 1, 2: clusters, seeds and signs have streams of their own under one seed.
    generator = np.random.default_rng([seed, 0])
    even = np.full(n_clusters, 1 / n_clusters)
    for start in range(0, n_draws, DRAWS_AT_ONCE):
        count = min(DRAWS_AT_ONCE, n_draws - start)
        drawn = generator.multinomial(n_clusters, even, size=count)
        yield slice(start, start + count), drawn.astype(np.float64)


def _seed_draws(n_seeds: int, n_draws: int, seed: int, side: int) -> Array:
    """Return the share of each seed in each draw, `(draws, seeds)`."""
    if n_seeds == 1:
        return np.ones((n_draws, 1))
    generator = np.random.default_rng([seed, 1, side])
    drawn = generator.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), size=n_draws)
    return np.asarray(drawn / n_seeds, dtype=np.float64)


def bootstrap_means(
    sums: list[ClusterSums], n_draws: int = 10_000, seed: int = 0, sides: list[int] | None = None
) -> Array:
    """Return bootstrap replicates of several means, `(means, draws)`.

    All means share the draws of clusters, so that differences of two rows are paired. Seeds of one
    configuration are drawn too, separately for each `side`.

    Args:
        sums: means over the same clusters.
        n_draws: number of replicates.
        seed: of the local generator.
        sides: which configuration each mean belongs to; default: all the same.

    Source: Davison & Hinkley, Bootstrap Methods and their Application, 1997, sections 2.4 and 3.8.
    """
    sides = sides or [0] * len(sums)
    n_clusters = len(sums[0].weights)
    # One product for all means: the seeds' rows of each, then its weights.
    rows = np.concatenate([np.vstack([total.values, total.weights]) for total in sums])
    ends = np.cumsum([len(total.values) + 1 for total in sums])
    shares = [
        _seed_draws(len(total.values), n_draws, seed, side)
        for total, side in zip(sums, sides, strict=True)
    ]
    replicates = np.empty((len(sums), n_draws))
    for place, drawn in _draws(n_clusters, n_draws, seed):
        totals = drawn @ rows.T
        for index, (end, total) in enumerate(zip(ends, sums, strict=True)):
            part = totals[:, end - len(total.values) - 1 : end]
            values = (part[:, :-1] * shares[index][place]).sum(1)
            with np.errstate(invalid="ignore", divide="ignore"):
                replicates[index, place] = values / part[:, -1]
    return replicates


def interval(
    replicates: Array, estimate: float, jackknife: Array | None, level: float = 0.95
) -> tuple[float, float]:
    """Return a bootstrap interval: bias-corrected and accelerated, or of percentiles.

    Args:
        replicates: `(draws,)`; draws without a unit (NaN) are left out.
        estimate: the mean itself.
        jackknife: the mean without each cluster in turn; None: percentiles.
        level: of confidence.

    Source: Efron, "Better bootstrap confidence intervals", J. Am. Stat. Assoc. 82 (1987), 171.
    """
    drawn = replicates[np.isfinite(replicates)]
    if not len(drawn) or not math.isfinite(estimate):
        return math.nan, math.nan
    tail = (1 - level) / 2
    levels = np.array([tail, 1 - tail])
    # A single cluster gives equal draws, which have no bias and no acceleration.
    if jackknife is not None and drawn.min() < drawn.max():
        below = np.mean(drawn < estimate) + 0.5 * np.mean(drawn == estimate)
        # A bias of all draws to one side has no finite correction.
        bias = stats.norm.ppf(np.clip(below, 0.5 / len(drawn), 1 - 0.5 / len(drawn)))
        gaps = jackknife.mean() - jackknife
        spread = float((gaps**2).sum())
        # The acceleration: a sixth of the skewness of the jackknife values.
        skew = float((gaps**3).sum() / (6 * spread**1.5)) if spread > 0 else 0.0
        moved = bias + stats.norm.ppf(levels)
        levels = stats.norm.cdf(bias + moved / (1 - skew * moved))
    low, high = np.quantile(drawn, levels)
    return float(low), float(high)


def with_ties(differences: Array, resolution: float) -> Array:
    """Return differences in which those that are equal but for rounding are exactly equal.

    Ranks need it: scores are kept with six digits, and the same mean of several seeds in another
    order differs in its last bit, which would make zeros positive and break ties.

    Values that differ by no more than ``resolution`` are equal, those no larger are 0.
    """
    sizes = np.abs(differences)
    tied = np.zeros_like(sizes)
    first = 0.0  # the smallest of the present group: a group is never wider than the resolution
    for place in np.argsort(sizes):
        if sizes[place] - first > resolution:
            first = sizes[place]
        tied[place] = first
    return np.asarray(np.copysign(tied, differences))


def paired_test(differences: Array, test: str = "wilcoxon", seed: int = 0) -> float:
    """Return the two-sided p-value of "no difference", from one difference per cluster.

    `wilcoxon`: signed ranks, exact for few clusters without ties. `permutation`: the mean under
    random signs, exact up to 14 clusters, else drawn (never 0). `t`: Student's.
    NaN with fewer than two clusters; 1 where all differences are 0.

    Raises:
        ValueError: the test has another name.
    """
    if test not in TESTS:
        raise ValueError(f"test must be one of {', '.join(TESTS)}; got {test!r}")
    if len(differences) < 2:
        return math.nan
    if not np.any(differences):
        return 1.0
    if test == "wilcoxon":
        return float(stats.wilcoxon(differences).pvalue)
    if test == "t":
        if np.ptp(differences) == 0:  # t would be infinite
            return 0.0
        return float(stats.ttest_1samp(differences, 0.0).pvalue)
    return _sign_flips(differences, seed)


def _sign_flips(differences: Array, seed: int) -> float:
    n = len(differences)
    # Sums that differ by rounding alone count as equal.
    observed = abs(differences.sum()) - 1e-12 * np.abs(differences).sum()
    if n <= EXACT_CLUSTERS:
        patterns = (np.arange(2**n)[:, None] >> np.arange(n)) & 1  # the bits of every number
        return float(np.mean(np.abs((2.0 * patterns - 1) @ differences) >= observed))
    generator = np.random.default_rng([seed, 2])
    extreme = 0
    for start in range(0, FLIPS, DRAWS_AT_ONCE):
        count = min(DRAWS_AT_ONCE, FLIPS - start)
        signs = 2.0 * generator.integers(0, 2, size=(count, n), dtype=np.int8) - 1
        extreme += int(np.sum(np.abs(signs @ differences) >= observed))
    return (extreme + 1) / (FLIPS + 1)  # the observed signs are one of the draws: never 0


def seed_test(first: Array, second: Array) -> float:
    """Return Welch's p-value that two configurations differ, from the means of their seeds.

    NaN unless both have at least two seeds.
    """
    if min(len(first), len(second)) < 2:
        return math.nan
    if np.ptp(first) == 0 and np.ptp(second) == 0:  # likewise
        return 1.0 if first[0] == second[0] else 0.0
    return float(stats.ttest_ind(first, second, equal_var=False).pvalue)


def effect_size(differences: Array) -> float:
    """Return Cohen's d_z: mean over standard deviation of paired differences, one per cluster.

    NaN with fewer than two clusters or without any spread.
    """
    if len(differences) < 2:
        return math.nan
    spread = differences.std(ddof=1)
    return float(differences.mean() / spread) if spread > 0 else math.nan


def dominance(differences: Array) -> float:
    """Return Cliff's delta within pairs: share of clusters above 0 minus share below, -1 to 1.

    Source: Cliff, "Dominance statistics: ordinal analyses to answer ordinal questions", Psych.
        Bulletin 114 (1993), 494: d_w.
    """
    return float(np.sign(differences).mean()) if len(differences) else math.nan


def adjust(p_values: Array, method: str = "holm") -> Array:
    """Return p-values corrected for their number; NaN stays and does not count.

    Args:
        p_values: of one family of tests.
        method: `holm`, `bonferroni` (family-wise error), `fdr_bh` (false discoveries) or `none`.

    Raises:
        ValueError: the method has another name.
        ModuleNotFoundError: statsmodels is not installed.
    """
    if method not in CORRECTIONS:
        raise ValueError(f"correction must be one of {', '.join(CORRECTIONS)}; got {method!r}")
    adjusted = np.array(p_values, dtype=np.float64)
    defined = np.isfinite(adjusted)
    if method == "none" or not defined.any():
        return adjusted
    with needed_for("correction for multiple tests"):
        from statsmodels.stats.multitest import multipletests
    adjusted[defined] = multipletests(adjusted[defined], method=method)[1]
    return adjusted
