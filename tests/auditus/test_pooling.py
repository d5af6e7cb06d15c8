"""Pooling of metrics over parts of an utterance: truth by construction, and the libraries."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile as sf
import torch
from pystoi import stoi as pystoi_stoi
from torch import Tensor

from auditus import METRICS, get_metric
from auditus.pooling import POOLED, Units, measure_units, pool, why_not_pooled
from auditus.pooling_stoi import estoi_correlations, stoi_correlations
from tests.auditus.signals import RATE, orthonormal, speech_case
from tests.recordings import recordings

# dB: float64 sums of the same numbers in another order
ROUNDING_DB = 1e-9
# the reach of a 32 ms frame to both sides
REACH_S = 0.032


def _units(name: str, signals: tuple[Tensor, Tensor, Tensor]) -> Units:
    return measure_units(get_metric(name), *(one[0] for one in signals), sample_rate=RATE)


@pytest.mark.parametrize("name", POOLED)
def test_one_part_that_is_everything_has_the_metric_of_the_utterance(name: str) -> None:
    signals = speech_case(2.0, rows=1)
    units = _units(name, signals)
    whole = get_metric(name)(*signals, sample_rate=RATE)
    pooled = pool(units, torch.tensor([[0, signals[0].shape[-1]]])).values
    # ESTOI: pystoi adds noise of the size of rounding; the others are the same numbers
    assert float((pooled - whole).abs()) < (1e-6 if name == "estoi" else ROUNDING_DB)


@pytest.mark.parametrize("name", POOLED)
def test_parts_that_tile_the_utterance_add_up_to_it(name: str) -> None:
    signals = speech_case(2.0, rows=1, seed=3)
    units = _units(name, signals)
    edges = torch.tensor([0, 800, 2300, 9000, 9001, 20000, signals[0].shape[-1]])
    sums = pool(units, torch.stack([edges[:-1], edges[1:]], 1))
    joined = sums.grouped(torch.zeros(6, dtype=torch.long), 1)
    assert float(joined.values[0]) == pytest.approx(units.whole, abs=ROUNDING_DB)


def test_ratios_of_parts_are_those_in_closed_form() -> None:
    """Orthogonal in each half: the energies of each half are known exactly."""
    halves = [orthonormal(1, 3, 8000, seed=seed) for seed in (0, 1)]
    speech, noise, rest = torch.cat(halves, -1)[:, 0]
    gains = torch.tensor([[0.1, 0.03], [0.5, 0.2]], dtype=torch.float64).repeat_interleave(8000, 0)
    # one gain of the noise, so that the projection is exact; the artefact differs by half
    estimate = 2 * speech + 0.3 * noise + gains[:, 1] * rest
    bounds = torch.tensor([[0, 8000], [8000, 16000]])

    def values(name: str) -> list[float]:
        units = measure_units(get_metric(name), estimate, speech, noise, sample_rate=RATE)
        return pool(units, bounds).values.tolist()

    interference, artefact = 0.09, (0.03**2, 0.2**2)
    assert values("si_sir") == pytest.approx([10 * np.log10(4 / interference)] * 2, abs=1e-6)
    assert values("si_sdr") == pytest.approx(
        [10 * np.log10(4 / (interference + one)) for one in artefact], abs=1e-6
    )
    assert values("si_sar") == pytest.approx(
        [10 * np.log10((4 + interference) / one) for one in artefact], abs=1e-6
    )
    assert values("si_sar_leroux") == pytest.approx(
        [10 * np.log10(4 / one) for one in artefact], abs=1e-6
    )


@pytest.mark.parametrize("name", [name for name in POOLED if name not in ("stoi", "estoi")])
def test_distortion_in_one_part_shows_in_that_part_only(name: str) -> None:
    """Noise added between 0.8 s and 1.0 s; parts beyond the reach of a frame keep their values."""
    _, speech, noise = speech_case(2.0, rows=1)
    draw = torch.Generator().manual_seed(5)
    base = 0.02 * speech.std() * torch.randn(speech.shape, generator=draw)
    where = slice(int(0.8 * RATE), int(1.0 * RATE))
    burst = torch.zeros_like(speech)
    burst[:, where] = 0.3 * speech.std() * torch.randn(1, 3200, generator=draw)
    burst = _beyond(burst, [speech, noise, base], where)
    before = _units(name, (speech + 0.1 * noise + base, speech, noise))
    after = _units(name, (speech + 0.1 * noise + base + burst, speech, noise))
    reach = int(REACH_S * RATE)
    outside = torch.tensor([[0, where.start - reach], [where.stop + reach, speech.shape[-1]]])
    inside = torch.tensor([[where.start, where.stop]])
    worse = get_metric(name).higher_is_better
    change = pool(after, inside).values - pool(before, inside).values
    if name in ("si_sir", "fw_sir"):  # an artefact is no interference
        assert float(change.abs()) < 1e-6
    else:
        assert float(change if not worse else -change) > 1.0
    assert torch.allclose(pool(after, outside).values, pool(before, outside).values, atol=1e-3)


def _beyond(burst: Tensor, others: list[Tensor], where: slice) -> Tensor:
    """Make the burst mean-free and orthogonal to the others within its place."""
    basis = torch.stack([one[0, where].double() for one in [*others, torch.ones_like(burst)]], 1)
    basis = torch.linalg.qr(basis).Q
    part = burst[0, where].double()
    result = torch.zeros_like(burst, dtype=torch.float64)
    result[0, where] = part - basis @ (basis.T @ part)
    return result


def test_estoi_is_sharper_in_time_than_stoi() -> None:
    """Noise within 0.1 s: ESTOI changes most there, and hardly beyond the windows' reach."""
    _, speech, noise = speech_case(3.0, rows=1)
    worse = speech.clone()
    where = slice(int(1.5 * RATE), int(1.6 * RATE))
    worse[:, where] += 3 * noise[:, where]
    bounds = torch.tensor([[where.start, where.stop], [0, int(0.9 * RATE)]])
    for name in ("stoi", "estoi"):
        clean = pool(_units(name, (speech, speech, noise)), bounds).values
        after = pool(_units(name, (worse, speech, noise)), bounds).values
        change = clean - after
        assert float(clean.min()) > 0.999
        assert float(change[0]) > 0.1
        assert float(change[1].abs()) < 1e-6


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("rate", [10000, 16000])
def test_means_of_correlations_are_pystoi(extended: bool, rate: int) -> None:
    estimate, speech, _ = (one[0].double().numpy() for one in speech_case(2.5, rows=1, seed=7))
    _compare_with_pystoi(speech, estimate, rate, extended)


@pytest.mark.parametrize("extended", [False, True])
def test_means_of_correlations_are_pystoi_on_real_speech(extended: bool) -> None:
    draw = np.random.default_rng(0)
    for path in recordings("speech/test/*/*.flac")[::3]:
        speech, rate = sf.read(path)
        estimate = speech + 0.5 * speech.std() * draw.standard_normal(len(speech))
        _compare_with_pystoi(speech, estimate, rate, extended)


def _compare_with_pystoi(
    speech: np.ndarray, estimate: np.ndarray, rate: int, extended: bool
) -> None:
    expected = pystoi_stoi(speech, estimate, rate, extended=extended)
    if extended:
        sums, counts, times = estoi_correlations(speech, estimate, rate)
        value = sums.sum() / counts.sum()
        assert counts.max() <= 30
    else:
        values, times = stoi_correlations(speech, estimate, rate)
        value = values.mean()
        assert values.shape == (15, len(times))
        assert np.abs(values).max() <= 1 + 1e-9
    assert value == pytest.approx(expected, abs=1e-9)
    assert (np.diff(times) > 0).all()
    assert 0 < times[0] < times[-1] < len(speech) / rate


def test_correlations_know_their_place_beside_a_pause() -> None:
    """Frames of a silent second are left out; those behind it are still where they were."""
    _, speech, _ = speech_case(1.5, rows=1)
    padded = torch.cat([speech, torch.zeros(1, RATE), speech], -1)[0].double().numpy()
    _, times = stoi_correlations(padded, padded, RATE)
    assert not ((times > 1.55) & (times < 2.45)).any()
    assert times[-1] > 3.5


def test_windows_and_frames_lie_where_their_centres_are() -> None:
    """Without pauses: frames of 25.6 ms every 12.8 ms, windows of 30 of them."""
    noise = np.random.default_rng(0).standard_normal(2 * 10000)
    _, windows = stoi_correlations(noise, noise, 10000)
    _, _, frames = estoi_correlations(noise, noise, 10000)
    assert frames[0] == pytest.approx(0.0128)
    assert np.diff(frames) == pytest.approx(0.0128)
    # from 0 to 29 * 12.8 + 25.6 ms: the centre, to half a hop
    assert windows[0] == pytest.approx((29 * 0.0128 + 0.0256) / 2, abs=0.0065)
    assert len(windows) == len(frames) - 29


def test_silence_and_short_speech_have_no_units_but_a_reason() -> None:
    estimate, speech, noise = speech_case(0.5, rows=1)
    short = _units("stoi", (estimate[:, :4000], speech[:, :4000], noise[:, :4000]))
    assert "shorter than" in short.reason
    silent = _units("si_sdr", (estimate, torch.zeros_like(speech), noise))
    assert silent.reason == "the target is silent"
    assert pool(silent, torch.tensor([[0, 10]])).values.isnan().all()
    copy = _units("si_sir", (estimate, speech, 2 * speech))
    assert copy.reason == "the noise is a multiple of the target"


def test_parts_without_a_unit_are_nan_and_overlaps_count_twice() -> None:
    units = Units.mean_of(torch.tensor([[1.0, 5.0]]), torch.ones(1, 2).bool(), 0.0, 100)
    bounds = torch.tensor([[10, 90], [0, 101], [50, 101], [70, 70], [500, 900]])
    assert pool(units, bounds).values.tolist() == pytest.approx(
        [np.nan, 3.0, 5.0, np.nan, np.nan], nan_ok=True
    )


def test_groups_skip_parts_of_no_class() -> None:
    units = Units.mean_of(torch.tensor([[1.0, 5.0, 9.0]]), torch.ones(1, 3).bool(), 0.0, 100)
    sums = pool(units, torch.tensor([[0, 50], [50, 150], [150, 250]]))
    grouped = sums.grouped(torch.tensor([1, -1, 1]), 3).values.tolist()
    assert grouped == pytest.approx([np.nan, 5.0, np.nan], nan_ok=True)


@pytest.mark.parametrize("name", sorted(set(METRICS.names()) - set(POOLED)))
def test_what_cannot_be_pooled_says_so(name: str) -> None:
    estimate, speech, noise = (one[0] for one in speech_case(0.5, rows=1))
    with pytest.raises(ValueError, match="method concatenated"):
        measure_units(get_metric(name), estimate, speech, noise, sample_rate=RATE)
    assert not why_not_pooled("si_sdr")


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"parts, 2"):
        pool(Units.mean_of(torch.ones(1, 2), torch.ones(1, 2).bool(), 0, 1), torch.ones(2))
    with pytest.raises(ValueError, match="kind"):
        Units("sum", *torch.zeros(3, 2))
    with pytest.raises(ValueError, match="alike"):
        Units("mean", torch.zeros(2), torch.zeros(3), torch.zeros(2))


def test_arguments_are_not_changed() -> None:
    signals = tuple(one[0] for one in speech_case(1.0, rows=1))
    before = [one.clone() for one in signals]
    for name in POOLED:
        measure_units(get_metric(name), *signals, sample_rate=RATE)
    assert all(torch.equal(a, b) for a, b in zip(before, signals, strict=True))
