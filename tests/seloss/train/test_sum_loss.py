"""A run trained by a sum of losses: what is logged of its parts, and how it is balanced."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from asteroid.losses import SumLoss
from seloss.train import EnhancementSystem
from tests.seloss.train import tiny

PARTS = [{"name": "mse", "weight": 2.0}, {"name": "si_snr"}, {"name": "sdr", "weight": 0}]


def fit(folder: Path, *, epochs=2, **loss_options) -> tiny.Run:
    loss = SumLoss(PARTS, reduction="none", **loss_options)
    return tiny.fit(folder, loss=loss, epochs=epochs)


def written(run: tiny.Run) -> dict[str, float]:
    """Return the weights in the file that the run has left for ``--loss``."""
    text = (run.experiment.folder / "balanced_loss.yml").read_text()
    return {part["label"]: part["weight"] for part in yaml.safe_load(text)["loss"]}


def test_each_part_is_logged_with_and_without_its_weight_and_its_share(tmp_path):
    run = fit(tmp_path)
    for row in run.history():
        for phase in ("train", "val"):
            assert row[f"{phase}/weighted_mse"] == pytest.approx(2 * row[f"{phase}/loss_mse"])
            assert row[f"{phase}/weighted_sdr"] == 0
            assert row[f"{phase}/loss_sdr"] != 0
            whole = sum(row[f"{phase}/weighted_{label}"] for label in run.system.loss.weights)
            assert row[f"{phase}/loss"] == pytest.approx(whole, rel=1e-5)
        shares = [row[f"train/grad_share_{label}"] for label in ("mse", "si_snr", "sdr")]
        assert shares[2] == 0
        assert sum(shares) == pytest.approx(1)
        assert min(shares[:2]) > 0
    events = EventAccumulator(str(tmp_path / "tensorboard_logs"))
    events.Reload()
    assert len(events.Scalars("train/grad_share_mse")) == 2
    assert len(events.Scalars("val/loss_si_snr")) == 2


def test_validation_of_a_part_is_that_loss_over_all_utterances(tmp_path):
    run = fit(tmp_path, epochs=1)
    alone = SumLoss([{"name": "si_snr"}], reduction="none")
    with torch.no_grad():
        values = [
            alone(run.system(b.mixture, b.n_mics), b.sources, b.lengths)
            for b in map(tiny.batch, zip(tiny.items(3)))
        ]
    mean = float(torch.cat(values).mean())
    assert run.history()[0]["val/loss_si_snr"] == pytest.approx(mean, rel=1e-5)


def test_a_resumed_run_logs_what_a_whole_one_does(tmp_path):
    whole = fit(tmp_path / "whole", epochs=3)
    fit(tmp_path / "parts", epochs=1)
    parts = fit(tmp_path / "parts", epochs=3)
    first, second = ([{**row, "seconds": 0} for row in run.history()] for run in (whole, parts))
    assert first == second


@pytest.mark.parametrize("balance_by", ["range", "gradient"])
def test_balanced_parts_have_the_sizes_asked_for(tmp_path, balance_by):
    run = fit(tmp_path, balance_by=balance_by, balance_items=4, epochs=1)
    weights = run.system.loss.weights
    assert written(run) == weights
    assert (weights["mse"], weights["sdr"]) == (2, 0)
    torch.manual_seed(0)
    before = EnhancementSystem(tiny.TinyNet(), SumLoss(PARTS, reduction="none"))
    batch = tiny.batch(tiny.items(4))
    estimate = before(batch.mixture, batch.n_mics)
    if balance_by == "gradient":
        sizes = before.loss.gradient_norms(estimate, batch.sources, batch.lengths)
    else:
        parts = before.loss.parts(estimate, batch.sources, batch.lengths)
        sizes = {label: float(v.detach().square().mean().sqrt()) for label, v in parts.items()}
    weighted = {label: weights[label] * size for label, size in sizes.items()}
    assert weighted["mse"] == pytest.approx(2 * weighted["si_snr"], rel=1e-4)


def test_balancing_leaves_the_network_as_it_is_and_is_the_same_each_time(tmp_path):
    first = fit(tmp_path / "a", balance_by="range", epochs=1).system
    again = fit(tmp_path / "b", balance_by="range", epochs=1).system
    assert first.loss.weights == again.loss.weights
    same = SumLoss(PARTS, reduction="none")
    same.weights = dict(first.loss.weights)
    plain = tiny.fit(tmp_path / "c", loss=same, epochs=1).system
    tiny.assert_same(plain.network, first.network)


def test_a_resumed_run_keeps_the_balance_of_its_start(tmp_path):
    whole = fit(tmp_path / "whole", balance_by="range", epochs=3)
    fit(tmp_path / "parts", balance_by="range", epochs=1)
    parts = fit(tmp_path / "parts", balance_by="range", epochs=3)
    assert parts.system.loss.weights == written(parts) == whole.system.loss.weights
    tiny.assert_same(whole.system, parts.system)
