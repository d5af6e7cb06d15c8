"""BSS-eval's SDR against mir_eval."""

from __future__ import annotations

import sys

import pytest
import torch

from auditus import sdr, si_sdr
from tests.auditus.signals import RATE, speech_case


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_agrees_with_mir_eval() -> None:
    import mir_eval

    estimate, speech, _ = (signal.double() for signal in speech_case())
    expected = [
        mir_eval.separation.bss_eval_sources(
            clean[None].numpy(), other[None].numpy(), compute_permutation=False
        )[0][0]
        for other, clean in zip(estimate, speech, strict=True)
    ]
    assert sdr(estimate, speech, sample_rate=RATE).tolist() == pytest.approx(expected, abs=1e-3)


def test_a_filter_is_forgiven() -> None:
    _, speech, _ = speech_case()
    filtered = torch.nn.functional.conv1d(
        torch.nn.functional.pad(speech[:, None], (2, 0)), torch.tensor([[[0.3, -0.2, 1.0]]])
    )[:, 0]
    assert bool((sdr(filtered, speech, sample_rate=RATE) > 40).all())


@pytest.mark.parametrize("n_samples", [600, 4000, 20000])
def test_a_copy_has_the_value_of_si_sdr(n_samples: int) -> None:
    draw = torch.Generator().manual_seed(0)
    noise = torch.randn(20, n_samples, generator=draw)
    speech = speech_case()[1][:, :n_samples]
    for copy, signal in (
        (noise, noise),
        (speech, speech),
        (-0.3 * noise.double(), noise.double()),
        (-0.3 * speech.double(), speech.double()),
    ):
        scores = sdr.measure(copy, signal, sample_rate=RATE)
        assert not any(scores.reasons)
        assert torch.allclose(scores.values, si_sdr(copy, signal, sample_rate=RATE))
    rounded = (speech * 2**23).round() / 2**23  # 24 bits: a residual of rounding, no more
    gain = sdr(rounded, speech, sample_rate=RATE) - si_sdr(rounded, speech, sample_rate=RATE)
    assert bool((gain >= 0).all())  # a filter can do no worse than a factor
    assert bool((gain < 10).all())


def test_a_singular_reference_has_no_value_but_for_its_copy() -> None:
    tone = torch.sin(0.3 * torch.arange(RATE))[None].double()
    assert sdr(tone, tone, sample_rate=RATE).item() > 100
    noisy = sdr(tone + 0.1 * torch.roll(tone, 700) ** 2, tone, sample_rate=RATE)
    assert bool(noisy.isnan() | (noisy < 100))


def test_too_short_for_the_filter() -> None:
    estimate, speech, _ = (signal[:, 4000:4300] for signal in speech_case())
    scores = sdr.measure(estimate, speech, sample_rate=RATE)
    assert scores.values.isnan().all()
    assert scores.reasons == ("shorter than 512 samples",) * 2


def test_without_the_library_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "fast_bss_eval", None)
    with pytest.raises(ModuleNotFoundError, match="pip install fast-bss-eval"):
        sdr(*speech_case()[:2], sample_rate=RATE)
