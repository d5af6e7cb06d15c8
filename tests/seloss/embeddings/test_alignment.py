"""Embeddings meet the frames they belong to, by the times of both."""

from __future__ import annotations

import pytest
import torch

from asteroid.models import CNUNet
from seloss.embeddings import LayerMix, align

FRAMES = CNUNet(channels=2, inner_channels=2)


def clock(times):
    """Embeddings that say when they are."""
    return times[:, None].float()


@pytest.mark.parametrize("offset", [0.005, 0.0125])
def test_linear_interpolation_gives_each_frame_its_own_time(offset):
    times = offset + 0.02 * torch.arange(50, dtype=torch.float64)
    frames = FRAMES.frame_times(FRAMES.n_frames(16000))
    told = align(clock(times), times, frames)[:, 0]
    inside = (frames >= times[0]) & (frames <= times[-1])
    assert inside.sum() > 55
    assert (told[inside] - frames[inside]).abs().max() < 1e-6
    assert (told[frames < times[0]] == times[0].float()).all()
    assert (told[frames > times[-1]] == times[-1].float()).all()


def test_frame_times_are_the_centres_of_the_windows():
    times = FRAMES.frame_times(FRAMES.n_frames(4000))
    impulse = torch.zeros(1, 4000)
    impulse[0, 2048] = 1.0
    energy = FRAMES.stft(impulse).abs().square().sum(1)[0]
    assert times[energy.argmax()] == 2048 / 16000


def test_past_alignment_never_takes_a_later_embedding():
    times = 0.0125 + 0.02 * torch.arange(50, dtype=torch.float64)
    frames = FRAMES.frame_times(60)
    told = align(clock(times), times, frames, "past")[:, 0].double()
    after_first = frames >= times[0]
    lag = frames[after_first] - told[after_first]
    assert lag.min() >= -1e-6
    assert lag.max() < 0.02 + 1e-6


def test_published_alignment_drifts_because_it_stretches():
    times = 0.0125 + 0.02 * torch.arange(49, dtype=torch.float64)
    frames = FRAMES.frame_times(63)
    told = align(clock(times), times, frames, "published")[:, 0].double()
    expected = torch.nn.functional.interpolate(
        clock(times).T[None], size=63, mode="linear", align_corners=False
    )[0, 0].double()
    assert torch.equal(told, expected)
    assert (told - frames)[1:-1].abs().max() > 0.005


def test_one_embedding_serves_every_frame_and_layers_are_kept_apart():
    one = torch.tensor([0.5], dtype=torch.float64)
    assert (align(torch.ones(3, 1, 4), one, FRAMES.frame_times(7)) == 1).all()
    layers = torch.arange(3.0)[:, None, None].expand(3, 5, 4)
    times = torch.arange(5, dtype=torch.float64)
    for kind in ("linear", "past", "published"):
        assert align(layers, times, FRAMES.frame_times(7), kind)[2].unique().tolist() == [2.0]


def test_wrong_alignments_are_refused():
    times = torch.arange(5, dtype=torch.float64)
    with pytest.raises(ValueError, match="must be one of linear, past, published; got 'nearest'"):
        align(torch.ones(5, 2), times, times, "nearest")
    with pytest.raises(ValueError, match="4 embeddings need as many times"):
        align(torch.ones(4, 2), times, times)


def test_layers_start_with_equal_weights_and_are_trained_on_request():
    layers = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    mix = LayerMix(3)
    assert torch.allclose(mix(layers), layers.mean(1), atol=1e-6)
    mix(layers).square().sum().backward()
    assert mix.logits.grad is not None
    assert mix.logits.grad.abs().max() > 0
    assert not list(LayerMix(3, trained=False).parameters())
    with pytest.raises(ValueError, match=r"\(batch, 3, frames, size\)"):
        mix(layers[:, :2])
