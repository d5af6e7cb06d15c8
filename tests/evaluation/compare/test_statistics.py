"""Intervals, tests and effect sizes against scipy, statsmodels, closed forms and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from evaluation.compare.statistics import (
    ClusterSums,
    adjust,
    bootstrap_means,
    dominance,
    effect_size,
    interval,
    paired_test,
    seed_test,
    with_ties,
)


def of(values: np.ndarray, weights: np.ndarray | None = None) -> ClusterSums:
    weights = np.ones(values.shape[-1]) if weights is None else weights
    return ClusterSums(np.atleast_2d(values) * weights, weights)


def bca(values: np.ndarray, draws: int = 20_000) -> tuple[float, float]:
    replicates = bootstrap_means([of(values)], draws)[0]
    jackknife = (values.sum() - values) / (len(values) - 1)
    return interval(replicates, float(values.mean()), jackknife)


@pytest.mark.parametrize("draw", ["normal", "exponential"])
def test_the_interval_agrees_with_scipys(draw: str) -> None:
    values = getattr(np.random.default_rng(3), draw)(size=30)
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(1)
    ).confidence_interval
    width = expected.high - expected.low
    # 20 000 draws each: the ends of both scatter by about 1 % of the width
    assert bca(values) == pytest.approx(tuple(expected), abs=0.04 * width)


def test_percentiles_agree_with_the_normal_ones_for_a_mean_of_many() -> None:
    values = np.random.default_rng(0).normal(2.0, 1.0, 400)
    replicates = bootstrap_means([of(values)], 20_000)[0]
    half = 1.96 * values.std() / math.sqrt(400)
    found = interval(replicates, values.mean(), None)
    assert found == pytest.approx((values.mean() - half, values.mean() + half), abs=0.05 * half)


@pytest.mark.slow
@pytest.mark.parametrize(("draw", "mean", "n"), [("normal", 0.0, 40), ("exponential", 1.0, 100)])
def test_intervals_hold_the_truth_as_often_as_they_say(draw: str, mean: float, n: int) -> None:
    """600 experiments; with 40 strongly skewed values BCa holds the truth in 91 % only."""
    generator = np.random.default_rng(7)
    held = 0
    for _ in range(600):
        low, high = bca(getattr(generator, draw)(size=n), 2000)
        held += low <= mean <= high
    # 95 % would scatter by 0.9 points over 600 experiments
    assert 0.92 <= held / 600 <= 0.98


@pytest.mark.slow
def test_intervals_of_clusters_hold_the_truth_where_those_of_units_do_not() -> None:
    """Thirty utterances of about ten phones that share their utterance's luck."""
    generator = np.random.default_rng(5)
    held = {"utterances": 0, "phones": 0}
    for _ in range(300):
        counts = np.asarray(generator.poisson(10, 30) + 1.0)
        totals = counts * generator.normal(size=30) + np.sqrt(counts) * generator.normal(size=30)
        clustered = ClusterSums(totals[None], counts)
        drawn = bootstrap_means([clustered], 1000)[0]
        low, high = interval(drawn, clustered.mean, None)
        held["utterances"] += low <= 0 <= high
        # of the phones themselves: the variance of one phone is 2
        held["phones"] += abs(clustered.mean) <= 1.96 * math.sqrt(2 / counts.sum())
    assert 0.90 <= held["utterances"] / 300 <= 0.98
    assert held["phones"] / 300 < 0.75


def test_differences_are_paired_by_shared_draws() -> None:
    generator = np.random.default_rng(2)
    base = generator.normal(0, 5, 50)
    first, second = bootstrap_means([of(base + 1), of(base)], 500)
    assert np.allclose(first - second, 1.0)


def test_weights_make_a_ratio_of_sums() -> None:
    """Word error rate of a corpus: 1 error in 1 word and 0 in 9 is 10 %, not 50 %."""
    words = np.array([1.0, 9.0])
    assert of(np.array([100.0, 0.0]), words).mean == pytest.approx(10.0)
    assert bootstrap_means([of(np.array([100.0, 0.0]), words)], 2000)[0].max() == 100.0


def test_clusters_without_a_unit_do_not_count() -> None:
    with_empty = ClusterSums(np.array([[1.0, 0.0, 3.0]]), np.array([1.0, 0.0, 1.0]))
    assert with_empty.mean == 2.0
    assert list(with_empty.cluster_means) == [1.0, 3.0]
    drawn = bootstrap_means([with_empty], 3000)[0]
    assert np.isnan(drawn).mean() == pytest.approx(1 / 27, abs=0.02)  # the empty one thrice
    assert np.isfinite(interval(drawn, 2.0, None)).all()
    nothing = ClusterSums(np.zeros((1, 2)), np.zeros(2))
    assert math.isnan(nothing.mean)
    assert np.isnan(interval(bootstrap_means([nothing], 10)[0], nothing.mean, None)).all()


def test_seeds_widen_the_interval_by_their_spread() -> None:
    """Three networks far apart, utterances all alike: only the seeds draw."""
    means = np.array([0.0, 3.0, 6.0])
    one = ClusterSums(np.repeat(means[:, None], 40, 1), np.ones(40))
    drawn = bootstrap_means([one], 20_000)[0]
    assert one.mean == pytest.approx(3.0)
    assert drawn.std() == pytest.approx(means.std() / math.sqrt(3), rel=0.03)
    sides = bootstrap_means([one, one], 5000, sides=[0, 1])
    assert abs(np.corrcoef(sides)[0, 1]) < 0.05  # the seeds of two configurations are not pairs


def test_the_same_seed_draws_the_same() -> None:
    one = of(np.random.default_rng(0).normal(size=9))
    first, again, other = (bootstrap_means([one], 700, seed)[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_p_values_agree_with_scipys() -> None:
    gaps = np.random.default_rng(1).normal(0.4, 1.0, 25)
    assert paired_test(gaps, "wilcoxon") == stats.wilcoxon(gaps, mode="exact").pvalue
    assert paired_test(gaps, "t") == pytest.approx(stats.ttest_rel(gaps, 0 * gaps).pvalue)
    # 20 000 flips: the standard deviation is below 0.002 at p = 0.05
    assert paired_test(gaps, "permutation") == pytest.approx(paired_test(gaps, "t"), abs=0.008)
    few = gaps[:9]
    exact = stats.permutation_test(
        (few, 0 * few), lambda a, b: np.mean(a - b), permutation_type="samples", n_resamples=np.inf
    ).pvalue
    assert paired_test(few, "permutation") == pytest.approx(exact)


@pytest.mark.parametrize("test", ["wilcoxon", "permutation", "t"])
def test_p_values_are_uniform_where_nothing_differs(test: str) -> None:
    generator = np.random.default_rng(11)
    n = 12 if test == "permutation" else 20
    found = [paired_test(generator.normal(size=n), test) for _ in range(400)]
    assert stats.kstest(found, "uniform").pvalue > 0.01
    assert np.mean(np.array(found) < 0.05) < 0.08


@pytest.mark.parametrize("test", ["wilcoxon", "permutation", "t"])
def test_edges_of_tests(test: str) -> None:
    assert math.isnan(paired_test(np.array([1.0]), test))
    assert paired_test(np.zeros(8), test) == 1.0
    assert paired_test(np.full(8, 2.0), test) <= 2 / 2**8
    with pytest.raises(ValueError, match="one of wilcoxon, permutation, t; got 'sign'"):
        paired_test(np.ones(3), "sign")


def test_fewer_than_six_cannot_be_significant() -> None:
    for test in ("wilcoxon", "permutation"):
        assert paired_test(np.arange(1.0, 6.0), test) == pytest.approx(0.0625)
        assert paired_test(np.arange(1.0, 7.0), test) < 0.05


def test_rounding_neither_breaks_ties_nor_makes_differences_of_zeros() -> None:
    """Error rates of three seeds in another order: equal in whole numbers, not in floats."""
    generator = np.random.default_rng(3)
    words = generator.choice([3, 6, 7, 9], 24)
    errors = np.stack([generator.permutation(np.arange(w + 1))[:3] for w in words])
    fewer = np.maximum(errors[:, [2, 0, 1]] - np.outer(np.arange(24) >= 18, [1, 0, 0]), 0)
    exact = (fewer.sum(1) - errors.sum(1)) * (1260 // words)  # 1260: a multiple of all of them
    tables = [np.round(100 * e / words[:, None], 4) for e in (fewer, errors)]  # six digits
    rounded = (tables[0] - tables[1]).mean(1)
    assert (rounded == 0).sum() < (exact == 0).sum()
    tied = with_ties(rounded, 1e-5 * 100)
    assert np.array_equal(np.sign(tied), np.sign(exact))
    assert dominance(tied) == dominance(exact.astype(float))
    assert paired_test(tied) == pytest.approx(stats.wilcoxon(exact).pvalue, rel=1e-12)
    assert paired_test(rounded) != pytest.approx(stats.wilcoxon(exact).pvalue, rel=0.1)


def test_ties_are_no_wider_than_the_resolution_and_keep_the_order() -> None:
    gaps = np.array([0.0, 0.9, -1.0, 1.8, 2.5, -2.6, 4.0])
    assert with_ties(gaps, 1.0).tolist() == [0.0, 0.0, 0.0, 1.8, 1.8, -1.8, 4.0]
    chain = np.arange(1.0, 100.0)  # each within the resolution of the next: no single group
    assert len(np.unique(with_ties(chain, 1.0))) == 50
    draws = np.random.default_rng(0).normal(size=50)
    assert np.array_equal(with_ties(draws, 0.0), draws)


def test_correction_agrees_with_statsmodels_and_leaves_gaps() -> None:
    found = np.array([0.01, np.nan, 0.04, 0.03, 0.005])
    known = found[[0, 2, 3, 4]]
    for method in ("holm", "bonferroni", "fdr_bh"):
        adjusted = adjust(found, method)
        assert math.isnan(adjusted[1])
        assert np.allclose(adjusted[[0, 2, 3, 4]], multipletests(known, method=method)[1])
    assert adjust(found, "holm")[4] == pytest.approx(0.02)  # 4 x 0.005, by hand
    assert np.array_equal(adjust(found, "none"), found, equal_nan=True)
    assert np.isnan(adjust(np.full(2, np.nan))).all()
    with pytest.raises(ValueError, match="got 'tukey'"):
        adjust(found, "tukey")


def test_effect_sizes_by_hand() -> None:
    gaps = np.array([1.0, 2.0, 3.0, -1.0, 0.0])
    assert effect_size(gaps) == pytest.approx(1.0 / math.sqrt(2.5))
    assert dominance(gaps) == pytest.approx((3 - 1) / 5)
    assert math.isnan(effect_size(np.ones(4)))
    assert math.isnan(effect_size(np.ones(1)))
    assert math.isnan(dominance(np.array([])))


def test_seed_test_is_welchs() -> None:
    first, second = np.array([1.0, 1.2, 0.9]), np.array([2.0, 2.5])
    assert seed_test(first, second) == stats.ttest_ind(first, second, equal_var=False).pvalue
    assert math.isnan(seed_test(first, second[:1]))
    assert seed_test(np.ones(3), np.ones(2)) == 1.0
