"""A run trained by a sum of losses: what is logged of its parts, and how it is balanced."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from asteroid.losses import SumLoss
from seloss.train import EnhancementSystem
from seloss.train.options.recipe import OptimConfig
from tests.seloss.train import tiny

PARTS = [{"name": "mse", "weight": 2.0}, {"name": "si_snr"}, {"name": "sdr", "weight": 0}]


def fit(folder: Path, *, resume=False, epochs=2, **loss_options):
    torch.manual_seed(0)
    loss = SumLoss(PARTS, reduction="none", **loss_options)
    system = EnhancementSystem(tiny.TinyNet(), loss, optim=OptimConfig(lr=0.01))
    trainer, _, experiment = tiny.trainer(folder, epochs=epochs)
    trainer.fit(
        system,
        tiny.loader(tiny.items(4)),
        tiny.loader(tiny.items(3)),
        ckpt_path=experiment.last if resume else None,
    )
    return system, experiment


def rows(experiment) -> list[dict[str, float]]:
    with (experiment.folder / "history.csv").open() as table:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(table)]


def test_each_part_is_logged_with_and_without_its_weight_and_its_share(tmp_path):
    system, experiment = fit(tmp_path)
    for row in rows(experiment):
        for phase in ("train", "val"):
            assert row[f"{phase}/weighted_mse"] == pytest.approx(2 * row[f"{phase}/loss_mse"])
            assert row[f"{phase}/weighted_sdr"] == 0
            assert row[f"{phase}/loss_sdr"] != 0
            whole = sum(row[f"{phase}/weighted_{label}"] for label in system.loss.weights)
            assert row[f"{phase}/loss"] == pytest.approx(whole, rel=1e-5)
        shares = [row[f"train/grad_share_{label}"] for label in ("mse", "si_snr", "sdr")]
        assert shares[2] == 0
        assert sum(shares) == pytest.approx(1)
        assert min(shares[:2]) > 0
    events = EventAccumulator(str(experiment.folder / "tensorboard_logs"))
    events.Reload()
    assert len(events.Scalars("train/grad_share_mse")) == 2
    assert len(events.Scalars("val/loss_si_snr")) == 2


def test_validation_of_a_part_is_that_loss_over_all_utterances(tmp_path):
    system, experiment = fit(tmp_path, epochs=1)
    alone = SumLoss([{"name": "si_snr"}], reduction="none")
    with torch.no_grad():
        values = [
            alone(system(b.mixture, b.n_mics), b.sources, b.lengths)
            for b in map(tiny.batch, zip(tiny.items(3)))
        ]
    assert rows(experiment)[0]["val/loss_si_snr"] == pytest.approx(
        float(torch.cat(values).mean()), rel=1e-5
    )


def test_a_resumed_run_logs_what_a_whole_one_does(tmp_path):
    _, whole = fit(tmp_path / "whole", epochs=3)
    fit(tmp_path / "parts", epochs=1)
    _, parts = fit(tmp_path / "parts", epochs=3, resume=True)
    first, second = ([{**row, "seconds": 0} for row in rows(e)] for e in (whole, parts))
    assert first == second


@pytest.mark.parametrize("balance_by", ["range", "gradient"])
def test_balanced_parts_have_the_sizes_asked_for(tmp_path, balance_by):
    system, experiment = fit(tmp_path, balance_by=balance_by, balance_items=4, epochs=1)
    chosen = yaml.safe_load((experiment.folder / "balanced_loss.yml").read_text())["loss"]
    assert {part["label"]: part["weight"] for part in chosen} == system.loss.weights
    assert system.loss.weights["mse"] == 2
    assert system.loss.weights["sdr"] == 0
    torch.manual_seed(0)
    before = EnhancementSystem(tiny.TinyNet(), SumLoss(PARTS, reduction="none"))
    batch = tiny.batch(tiny.items(4))
    estimate = before(batch.mixture, batch.n_mics)
    if balance_by == "gradient":
        sizes = before.loss.gradient_norms(estimate, batch.sources, batch.lengths)
    else:
        parts = before.loss.parts(estimate, batch.sources, batch.lengths)
        sizes = {label: float(v.detach().square().mean().sqrt()) for label, v in parts.items()}
    weighted = {label: system.loss.weights[label] * size for label, size in sizes.items()}
    assert weighted["mse"] == pytest.approx(2 * weighted["si_snr"], rel=1e-4)


def test_balancing_leaves_the_network_as_it_is_and_is_the_same_each_time(tmp_path):
    first, _ = fit(tmp_path / "a", balance_by="range", epochs=1)
    again, _ = fit(tmp_path / "b", balance_by="range", epochs=1)
    assert first.loss.weights == again.loss.weights
    same = SumLoss(PARTS, reduction="none")
    same.weights = dict(first.loss.weights)
    torch.manual_seed(0)
    plain = EnhancementSystem(tiny.TinyNet(), same, optim=OptimConfig(lr=0.01))
    trainer, _, _ = tiny.trainer(tmp_path / "c", epochs=1)
    trainer.fit(plain, tiny.loader(tiny.items(4)), tiny.loader(tiny.items(3)))
    for name, value in plain.network.state_dict().items():
        assert torch.equal(value, first.network.state_dict()[name])


def test_a_resumed_run_keeps_the_balance_of_its_start(tmp_path):
    whole, _ = fit(tmp_path / "whole", balance_by="range", epochs=3)
    fit(tmp_path / "parts", balance_by="range", epochs=1)
    parts, experiment = fit(tmp_path / "parts", balance_by="range", epochs=3, resume=True)
    assert parts.loss.weights == whole.loss.weights
    written = yaml.safe_load((experiment.folder / "balanced_loss.yml").read_text())["loss"]
    assert {part["label"]: part["weight"] for part in written} == whole.loss.weights
    for name, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[name]), name
