"""All published metrics of a batch in one call."""

from __future__ import annotations

import pytest
import torch

from auditus import PUBLISHED, Auditus, evaluate, get_metric
from tests.auditus.signals import RATE, speech_case


def test_one_call_gives_what_single_calls_give() -> None:
    signals = speech_case()
    lengths = torch.tensor([16000, 12000])
    scores = evaluate(*signals, sample_rate=RATE, lengths=lengths)
    assert tuple(scores) == PUBLISHED
    for name, values in scores.items():
        expected = get_metric(name)(*signals, sample_rate=RATE, lengths=lengths)
        assert torch.equal(values, expected)


def test_variant_reaches_those_that_have_one() -> None:
    signals = speech_case()
    names = ("si_sdr", "fw_sdr", "stoi")
    ours = evaluate(*signals, sample_rate=RATE, metrics=names)
    published = evaluate(*signals, sample_rate=RATE, metrics=names, variant="published")
    assert not torch.allclose(ours["fw_sdr"], published["fw_sdr"], atol=1.0)
    assert torch.equal(ours["stoi"], published["stoi"])


def test_reasons_come_along_and_noise_may_be_left_out() -> None:
    estimate, speech, _ = speech_case(0.3)
    judge = Auditus(["si_sdr", "stoi"], sample_rate=RATE)
    assert not judge.needs_noise
    scores = judge(estimate, speech)
    assert scores["si_sdr"].reasons == ("", "")
    assert scores["stoi"].reasons == ("shorter than 0.397 s: 0.300 s",) * 2
    assert Auditus(sample_rate=RATE).needs_noise


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="metric must be one of"):
        Auditus(["sdri"], sample_rate=RATE)
    with pytest.raises(ValueError, match="variant must be one of"):
        Auditus(sample_rate=RATE, variant="old")
    with pytest.raises(ValueError, match="sample_rate must be positive"):
        Auditus(sample_rate=0)
