from __future__ import annotations

import itertools

import torch

from seloss.train.system.randomness import seed_step


def draw(*where: int) -> float:
    seed_step(*where)
    return float(torch.rand(()))


def test_a_step_draws_the_same_whatever_came_before():
    first = draw(1, 2, 3)
    torch.rand(100)
    assert draw(1, 2, 3) == first


def test_every_step_draws_something_else():
    places = list(itertools.product((0, 1), repeat=4))
    assert len({draw(*place) for place in places}) == len(places)
