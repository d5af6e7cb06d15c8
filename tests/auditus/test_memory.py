"""What is computed once, and when it is computed again."""

from __future__ import annotations

import gc
import weakref

import torch

from auditus import get_metric
from auditus.memory import once
from tests.auditus.signals import RATE, speech_case

CALLS: list[str] = []


@once
def energy(first: torch.Tensor, second: torch.Tensor, name: str = "") -> torch.Tensor:
    CALLS.append(name)
    return (first * second).sum()


def test_the_same_tensors_are_computed_once_others_again() -> None:
    CALLS.clear()
    first, second = torch.ones(3), torch.ones(3)
    assert energy(first, second, "a") is energy(first, second, "a")
    energy(first, second, "b")
    energy(first, second.clone(), "c")
    energy(second, first, "d")
    assert CALLS == ["a", "b", "c", "d"]


def test_what_was_changed_in_place_is_computed_again() -> None:
    first, second = torch.ones(3), torch.ones(3)
    assert energy(first, second).item() == 3
    first.mul_(2)
    assert energy(first, second).item() == 6
    second.mul_(2)
    assert energy(first, second).item() == 12


def test_nothing_outlives_its_first_tensor() -> None:
    first, second = torch.ones(3), torch.ones(3)
    result = weakref.ref(energy(first, second))
    both = weakref.ref(second)
    del first, second
    gc.collect()
    assert result() is None
    assert both() is None


def test_two_functions_that_take_two_tensors_in_turns_do_not_keep_both_alive() -> None:
    first, second = torch.ones(3), torch.ones(3)
    energy(first, second)
    energy(second, first)
    alive = [weakref.ref(first), weakref.ref(second)]
    del first, second
    gc.collect()
    assert [one() for one in alive] == [None, None]


def test_what_came_of_a_tensor_that_is_gone_is_not_given_for_one_at_its_address() -> None:
    first = torch.ones(3)
    for value in range(50):  # the interpreter soon hands out the same address again
        second = torch.full((3,), float(value))
        assert energy(first, second).item() == 3 * value
        del second


def test_a_tensor_that_is_both_and_one_without_versions_are_not_kept() -> None:
    CALLS.clear()
    first = torch.ones(3)
    energy(first, first)
    energy(first, first)
    with torch.inference_mode():
        frozen = torch.ones(3)
    energy(frozen, first)
    energy(frozen, first)
    assert len(CALLS) == 4


def test_a_batch_changed_in_place_between_two_metrics_is_judged_as_it_is() -> None:
    estimate, speech, noise = speech_case(0.5)
    before = get_metric("si_sdr")(estimate, speech, noise, sample_rate=RATE)
    estimate.copy_(speech + noise)
    after = get_metric("si_sdr")(estimate, speech, noise, sample_rate=RATE)
    fresh = get_metric("si_sdr")(estimate.clone(), speech.clone(), noise.clone(), sample_rate=RATE)
    assert torch.equal(after, fresh)
    assert not torch.equal(after, before)
