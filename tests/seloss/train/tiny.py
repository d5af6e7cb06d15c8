"""A network, a loss and batches so small that an epoch takes milliseconds, and their training."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader

from seloss.data.formats.batch import Batch, Item, collate
from seloss.train import EnhancementSystem, Experiment, build_trainer
from seloss.train.callbacks.checkpoints import BestCheckpoints
from seloss.train.options.recipe import OptimConfig, TrainingConfig

N_SAMPLES = 160


class TinyNet(nn.Module):
    """Two FIR filters on the reference microphone; remembers what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.Conv1d(1, 2, 5, padding=2)
        self.seen_mics: list[list[int]] = []

    def forward(self, x: torch.Tensor, valid_mics: torch.Tensor | None = None) -> torch.Tensor:
        assert valid_mics is not None
        self.seen_mics.append(valid_mics.tolist())
        return self.filters(x[:, :1])

    def get_model_args(self) -> dict[str, int]:
        return {}

    def serialize(self) -> dict[str, object]:
        return {"model_name": "TinyNet", "model_args": {}, "state_dict": self.state_dict()}


class NormedNet(TinyNet):
    """With a batch norm behind the filters."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2)

    def forward(self, x: torch.Tensor, valid_mics: torch.Tensor | None = None) -> torch.Tensor:
        return self.norm(super().forward(x, valid_mics))


class SquaredError(nn.Module):
    """Mean squared error of the speech, per utterance, over its real samples."""

    def __init__(self) -> None:
        super().__init__()
        self.dtypes: set[torch.dtype] = set()

    def forward(
        self, est_targets: torch.Tensor, targets: torch.Tensor, lengths: torch.Tensor
    ) -> torch.Tensor:
        self.dtypes.add(est_targets.dtype)
        mask = torch.arange(targets.shape[-1]) < lengths[:, None]
        error = (est_targets[:, 0] - targets[:, 0]).square() * mask
        return error.sum(-1) / lengths


def items(n_items: int = 3, value: float = 0.1) -> list[Item]:
    draw = torch.Generator().manual_seed(1)
    made = []
    for index in range(n_items):
        sources = value * torch.randn(2, N_SAMPLES - 10 * index, generator=draw)
        mixture = sources.sum(0).expand(1 + index % 2, -1).clone()
        made.append(Item(mixture, sources, f"item-{index}"))
    return made


def loader(made: Sequence[Item], batch_size: int = 2) -> DataLoader[Item]:
    return DataLoader(list(made), batch_size, collate_fn=collate)  # type: ignore[arg-type]


def batch(made: Sequence[Item]) -> Batch:
    return collate(made)


def trainer(
    folder: Path, mode: str = "min", optim: OptimConfig | None = None, **options: object
) -> tuple[pl.Trainer, BestCheckpoints, Experiment]:
    defaults: dict[str, object] = {"epochs": 4, "monitor": "val/loss", "gpus": 0, "listen": 0}
    training = TrainingConfig(**{**defaults, **options})  # type: ignore[arg-type]
    experiment = Experiment(folder)
    made, best = build_trainer(training, experiment, mode=mode, sample_rate=16000, optim=optim)
    return made, best, experiment


class Run(NamedTuple):
    """A training that has ended."""

    system: EnhancementSystem
    trainer: pl.Trainer
    best: BestCheckpoints
    experiment: Experiment

    def history(self) -> list[dict[str, float]]:
        """Return the epochs' rows of ``history.csv``."""
        with (self.experiment.folder / "history.csv").open() as table:
            return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(table)]

    def last(self) -> dict[str, Any]:
        """Return the newest checkpoint."""
        return torch.load(self.experiment.last, weights_only=True)  # type: ignore[arg-type]


def fit(
    folder: Path,
    *,
    network: nn.Module | None = None,
    loss: nn.Module | None = None,
    metric: Any = None,
    mode: str = "max",
    lr_patience: int | None = None,
    optim: OptimConfig | None = None,
    train: Sequence[Item] | DataLoader[Item] | None = None,
    n_valid: int = 3,
    **options: object,
) -> Run:
    """Train, or resume what the folder holds; a ``metric``, if there is one, is monitored."""
    torch.manual_seed(0)
    optim = optim or OptimConfig(lr=0.01)
    monitor, mode = ("val/score", mode) if metric else ("val/loss", "min")
    system = EnhancementSystem(
        network or TinyNet(),
        loss or SquaredError(),
        optim=optim,
        metrics={"score": metric} if metric else None,
        monitor=monitor,
        mode=mode,  # type: ignore[arg-type]
        lr_patience=lr_patience,
    )
    made, best, experiment = trainer(folder, mode, optim, **options)
    for callback in (best, *made.early_stopping_callbacks):  # not one of the published metrics
        callback.monitor = monitor  # type: ignore[union-attr]
    batches = train if isinstance(train, DataLoader) else loader(train or items(4))
    made.fit(system, batches, loader(items(n_valid)), ckpt_path=experiment.last)
    for logger in made.loggers:
        logger.finalize("success")
    return Run(system, made, best, experiment)


def assert_same(first: nn.Module, second: nn.Module, atol: float = 0.0) -> None:
    """Compare all weights and buffers; equal to the last bit unless told otherwise."""
    expected, state = first.state_dict(), second.state_dict()
    assert expected.keys() == state.keys()
    for name, value in expected.items():
        torch.testing.assert_close(state[name], value, rtol=0, atol=atol, msg=name)
