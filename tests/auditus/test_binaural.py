"""Two ears: known delays and levels, the library's MBSTOI, and shapes that are refused."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from auditus import Auditus, ild_error, itd_error, mbstoi, si_sdr
from tests.auditus.signals import RATE
from tests.data import make_mixture, speech_like


def ears(delay: int = 0, gain: float = 1.0, seed: int = 0) -> torch.Tensor:
    """`(1, 2, time)`: the right ear hears `delay` samples later, `gain` times as loud."""
    signal = torch.from_numpy(speech_like(1.0, seed=seed)).double()
    late = torch.cat([torch.zeros(10 + delay).double(), signal, torch.zeros(10 - delay).double()])
    early = torch.cat([torch.zeros(10).double(), signal, torch.zeros(10).double()])
    return torch.stack([early, gain * late])[None]


@pytest.mark.parametrize(("before", "after"), [(0, 3), (5, -4), (-8, 8), (2, 2)])
def test_a_delay_between_ears_is_measured(before: int, after: int) -> None:
    error = itd_error(ears(after), ears(before), sample_rate=RATE).item()
    # within 5 us: ears tell some 10 us apart
    assert error == pytest.approx(abs(after - before) / RATE * 1e6, abs=5)


@pytest.mark.parametrize(("before", "after"), [(1.0, 0.5), (0.3, 0.6), (2.0, 2.0)])
def test_a_level_between_ears_is_measured(before: float, after: float) -> None:
    error = ild_error(ears(gain=after), ears(gain=before), sample_rate=RATE).item()
    assert error == pytest.approx(abs(20 * np.log10(after / before)), abs=1e-6)


def test_level_does_not_move_a_delay_nor_a_delay_much_of_a_level() -> None:
    assert itd_error(ears(gain=0.2), ears(), sample_rate=RATE).item() == pytest.approx(0, abs=1)
    assert ild_error(ears(2), ears(), sample_rate=RATE).item() < 1.0


def test_one_ear_for_both_loses_the_direction() -> None:
    """What a network of one output does to a talker at the side."""
    there = ears(8, 0.5)
    same = there[:, :1].expand(1, 2, -1)
    assert itd_error(same, there, sample_rate=RATE).item() == pytest.approx(500, abs=5)
    assert ild_error(same, there, sample_rate=RATE).item() == pytest.approx(6.02, abs=0.3)


def test_mbstoi_agrees_with_the_library(caplog: pytest.LogCaptureFixture) -> None:
    library = pytest.importorskip("clarity.evaluator.mbstoi")
    mixture, speech, _ = make_mixture(1.2, n_mics=2, snr_db=0.0, seed=4)
    expected = library.mbstoi(*speech.astype(float), *mixture.astype(float), RATE)
    caplog.clear()
    with caplog.at_level(logging.INFO):
        value = mbstoi(
            torch.from_numpy(mixture)[None], torch.from_numpy(speech)[None], sample_rate=RATE
        )
    assert value.item() == pytest.approx(expected, abs=1e-6)
    assert not caplog.records


def test_too_little_speech_has_no_mbstoi() -> None:
    pytest.importorskip("clarity.evaluator.mbstoi")
    target = ears()
    target[..., 5000:] = 1e-9 * torch.randn(11020, generator=torch.Generator().manual_seed(0))
    scores = mbstoi.measure(target, target, sample_rate=RATE)
    assert scores.reasons == ("fewer than 30 frames of active speech",)


def test_a_silent_ear_has_no_score() -> None:
    target = ears()
    deaf = target.clone()
    deaf[:, 1] = 0
    for metric in (ild_error, itd_error):
        assert metric.measure(deaf, target, sample_rate=RATE).reasons == ("the estimate is silent",)


def test_other_shapes_are_refused_and_one_channel_metrics_get_the_left() -> None:
    target = ears(3, 0.5)
    with pytest.raises(ValueError, match=r"ild_error is binaural: estimate .* \(batch, 2, time\)"):
        ild_error(target[:, 0], target[:, 0], sample_rate=RATE)
    estimate = target + 0.01 * torch.randn(target.shape, generator=torch.Generator().manual_seed(0))
    scores = Auditus(["si_sdr", "itd_error"], sample_rate=RATE)(estimate, target)
    left = si_sdr(estimate[:, 0], target[:, 0], sample_rate=RATE)
    assert scores["si_sdr"].values.item() == left.item()
    assert scores["itd_error"].values.item() < 50
