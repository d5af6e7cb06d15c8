"""The record of a run: tables, picture and progress, nothing twice and nothing lost."""

from __future__ import annotations

import csv
import json
import logging
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from seloss.train.callbacks.curves import draw_curves, smooth
from seloss.train.callbacks.run_log import EpochBar, RunLog


class Toy(pl.LightningModule):
    """Its loss in batch b of epoch e is e + b / 10 and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def training_step(self, batch, batch_idx):
        return 0 * self.weight.sum() + self.current_epoch + batch_idx / 10

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", 1.0 + self.current_epoch)
        self.log("val/pesq_wb", 2.0)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def fit(
    folder: Path, epochs: int, checkpoint: Path | None = None, *others: pl.Callback
) -> tuple[RunLog, pl.Trainer]:
    record = RunLog(folder, epochs)
    loader = torch.utils.data.DataLoader(torch.zeros(3, 1))
    trainer = pl.Trainer(
        max_epochs=epochs,
        callbacks=[record, *others],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=bool(others),
        enable_model_summary=False,
        accelerator="cpu",
        num_sanity_val_steps=0,
    )
    trainer.fit(Toy(), loader, loader, ckpt_path=checkpoint, weights_only=False)
    return record, trainer


def table(folder: Path) -> list[tuple[int, int, float]]:
    with (folder / "curves.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [(int(row["epoch"]), int(row["batch"]), float(row["train/loss"])) for row in rows]


def history(folder: Path) -> list[dict[str, str]]:
    with (folder / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


EXPECTED = [
    (epoch, batch, round(epoch + batch / 10, 6)) for epoch in range(4) for batch in range(3)
]


@pytest.mark.filterwarnings("ignore")
def test_after_a_resume_nothing_is_there_twice_and_nothing_is_lost(tmp_path):
    _, trainer = fit(tmp_path, 2)
    assert table(tmp_path) == EXPECTED[:6]
    trainer.save_checkpoint(tmp_path / "two.ckpt")
    fit(tmp_path, 3, tmp_path / "two.ckpt")  # trains an epoch, and is killed before it is saved
    assert table(tmp_path) == EXPECTED[:9]
    record, _ = fit(tmp_path, 4, tmp_path / "two.ckpt")
    assert table(tmp_path) == EXPECTED
    assert record.scores["val/loss"] == [(1, 1), (2, 2), (3, 3), (4, 4)]
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    rows = history(tmp_path)
    assert list(rows[0]) == ["epoch", "lr", "val/loss", "val/pesq_wb", "seconds"]
    assert [(row["epoch"], float(row["val/loss"])) for row in rows] == [
        ("0", 1),
        ("1", 2),
        ("2", 3),
        ("3", 4),
    ]
    progress = json.loads((tmp_path / "progress.json").read_text())
    assert progress.pop("time") > 0
    assert progress == {"epoch": 3, "epochs": 4, "batch": 3, "batches": 3, "step": 12}


@pytest.mark.filterwarnings("ignore")
def test_the_record_in_a_checkpoint_of_an_earlier_release_is_taken_over(tmp_path):
    """There, two callbacks kept it."""
    record, trainer = fit(tmp_path, 2)
    trainer.save_checkpoint(tmp_path / "two.ckpt")
    checkpoint = torch.load(tmp_path / "two.ckpt", weights_only=True)
    state = checkpoint["callbacks"].pop("RunLog")
    checkpoint["callbacks"]["History"] = {"rows": state["rows"], "spent": 0.5}
    checkpoint["callbacks"]["Curves"] = {"rows": state["n_losses"], "scores": state["scores"]}
    torch.save(checkpoint, tmp_path / "two.ckpt")
    record, _ = fit(tmp_path, 3, tmp_path / "two.ckpt")
    assert table(tmp_path) == EXPECTED[:9]
    assert [row["epoch"] for row in history(tmp_path)] == ["0", "1", "2"]
    assert record.scores["val/loss"] == [(1, 1), (2, 2), (3, 3)]


@pytest.mark.filterwarnings("ignore")
def test_the_bar_counts_epochs_as_the_log_does(tmp_path, caplog, capsys):
    caplog.set_level(logging.INFO)
    fit(tmp_path, 2, None, EpochBar(2))
    bar = capsys.readouterr()
    for number in (1, 2):
        assert f"epoch {number} of 2" in bar.out + bar.err
        assert f"epoch {number} of 2  val/loss {number}.000" in caplog.text
    assert "poch 0" not in bar.out + bar.err


def test_the_picture_has_a_panel_for_the_loss_and_for_each_metric(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    drawn = []
    monkeypatch.setattr(
        Figure, "savefig", lambda self, path, **_: drawn.append(self) or path.touch()
    )
    rows = [(0, b, (b + 1) / 4, 1.0 - b) for b in range(4)]
    scores = {
        "val/loss": [(1.0, 0.5)],
        "val/pesq_wb": [(1.0, 2.1)],
        "val/loss_sdr": [(1.0, 0.5)],
        "val/weighted_sdr": [(1.0, 0.5)],
    }
    draw_curves(tmp_path / "c.png", rows, scores)
    axes = drawn[0].axes
    assert [axis.get_ylabel() for axis in axes] == ["loss", "pesq_wb"]
    batches, smoothed, points = axes[0].lines
    assert batches.get_ydata().tolist() == [1.0, 0.0, -1.0, -2.0]
    assert len(smoothed.get_ydata()) == 4
    assert (points.get_xdata().tolist(), points.get_ydata().tolist()) == ([1.0], [0.5])


def test_smoothing_follows_the_mean_and_passes_over_what_is_not_finite():
    values = [2.0, float("nan"), 2.0]
    assert smooth(values, 9) == [2.0, 2.0, 2.0]
    noisy = [(-1.0) ** n for n in range(400)]
    assert abs(smooth(noisy, 50)[-1]) < 0.05
    step = smooth([0.0] * 50 + [1.0] * 50, 10)
    assert step[48] == 0
    assert step[99] > 0.99
