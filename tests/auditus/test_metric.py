"""What every metric of the table must keep to."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from auditus import METRICS, get_metric, get_metrics, opinion
from auditus.metric import Metric
from tests.auditus.signals import RATE, speech_case

# Seconds for every call.
SLOW = ("dnsmos_sig", "dnsmos_bak", "dnsmos_ovrl", "dnsmos_p808", "distillmos", "mbstoi")
NAMES = [
    pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in METRICS.names()
]
# Scored with all signals at another level alike; the others also with the estimate's alone.
BOUND_TO_LEVEL = ("snr", "seg_snr", "lsd", "cbak")
# Trained on real speech.
LEARNED = SLOW[:-1]
# Its models know the level of recordings.
DNSMOS = tuple(name for name in SLOW if name.startswith("dnsmos"))
LEVEL_DB = 0.01
Case = tuple[Tensor, Tensor, Tensor]
OPINIONS: dict[bytes, dict[str, float]] = {}


def two_ears(signal: Tensor) -> Tensor:
    """The right ear hears 5 samples later, more softly."""
    return torch.stack([signal, 0.8 * signal.roll(5, -1)], 1)


@pytest.fixture(autouse=True)
def dnsmos_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run DNSMOS once for equal audio: its four scores come of one run of seconds."""
    run = opinion._dnsmos_row

    def row(signal: np.ndarray) -> dict[str, float]:
        key = signal.tobytes()
        if key not in OPINIONS:
            OPINIONS[key] = run(signal)
        return OPINIONS[key]

    monkeypatch.setattr(opinion, "_dnsmos_row", row)


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Case:
    """Signals of as many channels as the metric wants that the test is about."""
    mono = speech_case(1.0, rows=2)
    name = getattr(request.node, "callspec", None) and request.node.callspec.params.get("name")
    if name is None or get_metric(name).channels == 1:
        return mono
    estimate, speech, noise = mono
    # The estimate's noise comes from ahead, the speech from the left.
    rest = estimate - 0.7 * speech
    return (
        two_ears(0.7 * speech) + torch.stack([rest, rest], 1),
        two_ears(speech),
        torch.stack([noise, noise], 1),
    )


@pytest.mark.parametrize("name", NAMES)
def test_values_have_shape_type_and_bounds(name: str, case: Case) -> None:
    metric = get_metric(name)
    scores = metric.measure(*case, sample_rate=RATE)
    assert scores.values.shape == (2,)
    assert scores.values.dtype == torch.float64
    assert scores.reasons == ("", "")
    low, high = metric.bounds
    assert all(low <= value <= high for value in scores.values.tolist())
    assert metric.source
    assert metric.label
    assert metric.unit in ("", "dB", "MOS-LQO", "MOS", "us")


@pytest.mark.parametrize("name", NAMES)
def test_arguments_stay_and_any_kind_of_tensor_will_do(name: str, case: Case) -> None:
    """The original took the mean off the caller's tensors, and failed on some kinds of them."""
    shifted = [signal + offset for signal, offset in zip(case, (0.1, 0.2, 0.3), strict=True)]
    before = [signal.clone() for signal in shifted]
    shifted[0].requires_grad_()
    expected = get_metric(name)(*shifted, sample_rate=RATE)
    for signal, old in zip(shifted, before, strict=True):
        assert torch.equal(signal.detach(), old)
    assert not expected.requires_grad
    with torch.inference_mode():
        frozen = [signal.clone() for signal in before]
    assert torch.equal(get_metric(name)(*frozen, sample_rate=RATE), expected)
    repeated = [signal[:1].expand(2, *signal.shape[1:]) for signal in before]
    assert get_metric(name)(*repeated, sample_rate=RATE).tolist() == pytest.approx(
        [expected[0].item()] * 2, abs=1e-9
    )


@pytest.mark.parametrize("name", NAMES)
def test_padding_order_and_batch_do_not_count(name: str, case: Case) -> None:
    metric = get_metric(name)
    lengths = torch.tensor([16000, 13001])
    if metric.min_seconds > 0.8:
        case = tuple(torch.cat([signal, signal], -1) for signal in case)
        lengths = lengths + 16000
    alone = [
        metric(*(signal[row : row + 1, ..., :length] for signal in case), sample_rate=RATE).item()
        for row, length in enumerate(lengths.tolist())
    ]
    draw = torch.Generator().manual_seed(0)
    padded = [
        torch.cat([signal, torch.randn(*signal.shape[:-1], 500, generator=draw)], -1)
        for signal in case
    ]
    for signal in padded:
        signal[1, ..., lengths[1] :] = torch.nan
    assert metric(*padded, sample_rate=RATE, lengths=lengths).tolist() == alone
    turned = [signal.flip(0) for signal in padded]
    assert metric(*turned, sample_rate=RATE, lengths=lengths.flip(0)).tolist() == alone[::-1]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("gain_db", [-60.0, 40.0])
def test_level_does_not_count(name: str, gain_db: float, case: Case) -> None:
    metric, gain = get_metric(name), 10 ** (gain_db / 20)
    if name in DNSMOS:
        pytest.skip("bound to the level of a recording")
    before = metric(*case, sample_rate=RATE)
    together = metric(*(gain * signal for signal in case), sample_rate=RATE)
    assert torch.allclose(together, before, atol=LEVEL_DB, rtol=0)
    if name not in BOUND_TO_LEVEL:
        alone = metric(gain * case[0], *case[1:], sample_rate=RATE)
        assert torch.allclose(alone, before, atol=LEVEL_DB, rtol=0)


@pytest.mark.parametrize("name", [name for name in NAMES if "sar" not in str(name)])
def test_more_noise_is_never_better(name: str, case: Case) -> None:
    if name in LEARNED:
        pytest.skip("not on made-up speech")
    metric, (_, speech, noise) = get_metric(name), case
    values = [
        metric(speech + gain * noise, speech, noise, sample_rate=RATE).mean().item()
        for gain in (0.05, 0.2, 1.0)
    ]
    assert values == sorted(values, reverse=metric.higher_is_better)
    assert values[0] != values[-1]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_finite_or_empty_has_no_score(name: str, case: Case) -> None:
    metric = get_metric(name)
    for which in metric.needs:
        signals = dict(
            zip(("estimate", "target", "noise"), (signal.clone() for signal in case), strict=True)
        )
        signals[which][0, ..., 700] = torch.inf
        scores = metric.measure(**signals, sample_rate=RATE)
        assert scores.reasons == (f"the {which} holds values that are not finite", "")
        assert scores.values.isnan().tolist() == [True, False]
    lengths = torch.tensor([0, 16000])
    scores = metric.measure(*case, sample_rate=RATE, lengths=lengths)
    assert scores.reasons == ("no samples", "")


@pytest.mark.parametrize("name", NAMES)
def test_silence_has_a_defined_outcome(name: str, case: Case) -> None:
    metric = get_metric(name)
    for which in metric.needs:
        for constant in (0.0, 0.25):
            signals = dict(
                zip(
                    ("estimate", "target", "noise"),
                    (signal.clone() for signal in case),
                    strict=True,
                )
            )
            signals[which][1] = constant
            scores = metric.measure(**signals, sample_rate=RATE)
            if which in metric.sounding:
                assert scores.reasons == ("", f"the {which} is silent")
                assert scores.values[1].isnan()
            else:
                assert bool(scores.values.isfinite().all())


@pytest.mark.parametrize("name", NAMES)
def test_clipped_and_integer_signals_are_scored(name: str, case: Case) -> None:
    loud = tuple((4 * signal).clamp(-0.5, 0.5) for signal in case)
    assert bool(get_metric(name)(*loud, sample_rate=RATE).isfinite().all())
    if name in DNSMOS:
        return  # integers are beyond full scale
    words = [(20000 * signal).to(torch.int16) for signal in case]
    expected = get_metric(name)(*(word.double() for word in words), sample_rate=RATE)
    assert torch.equal(get_metric(name)(*words, sample_rate=RATE), expected)


@pytest.mark.parametrize("name", NAMES)
def test_bound_for_a_trainer(name: str, case: Case) -> None:
    judge = get_metric(name).bind(RATE)
    expected = get_metric(name)(*case, sample_rate=RATE)
    assert torch.equal(judge(*case), expected)
    assert torch.equal(judge(*case, torch.tensor([16000, 16000])), expected)


def test_wrong_shapes_and_missing_signals_are_refused(case: Case) -> None:
    estimate, speech, noise = case
    sir: Metric = get_metric("si_sir")
    with pytest.raises(ValueError, match=r"si_sir needs the noise; got None"):
        sir(estimate, speech, sample_rate=RATE)
    with pytest.raises(ValueError, match=r"one utterance as signal\[None\]"):
        sir(estimate[0], speech[0], noise[0], sample_rate=RATE)
    with pytest.raises(ValueError, match=r"target must have the estimate's shape \(2, 16000\)"):
        sir(estimate, speech[:, :-1], noise, sample_rate=RATE)
    with pytest.raises(TypeError, match="estimate must be a real tensor; got a complex tensor"):
        sir(estimate + 0j, speech, noise, sample_rate=RATE)
    with pytest.raises(TypeError, match="got ndarray"):
        sir(estimate, speech.numpy(), noise, sample_rate=RATE)
    for lengths in (torch.tensor([1]), torch.tensor([1.0, 2.0])):
        with pytest.raises(ValueError, match="lengths must be 2 integers"):
            sir(estimate, speech, noise, sample_rate=RATE, lengths=lengths)
    with pytest.raises(ValueError, match=r"0 \.\. 16000; got \[16001, 5\]"):
        sir(estimate, speech, noise, sample_rate=RATE, lengths=torch.tensor([16001, 5]))


def test_the_table_can_be_listed() -> None:
    assert list(METRICS) == METRICS.names()
    assert len(METRICS) == len(NAMES)


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"si_sdr, .*itd_error; got 'sisdr'"):
        get_metric("sisdr")
    with pytest.raises(ValueError, match="no metric named"):
        get_metrics([])
    with pytest.raises(ValueError, match="named twice"):
        get_metrics(["stoi", "stoi"])
