"""One experiment, one folder: start it, resume it, or refuse to mix two runs in it."""

from __future__ import annotations

import dataclasses
import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from asteroid.utils.files import remove_leftovers, write_text
from asteroid.utils.system import lock_file
from seloss.program import has_other_processes, mark_resumable, process_rank
from seloss.train.options.parser import ConfigError, Parsed
from seloss.train.options.recipe import (
    FREE_KEYS,
    DataConfig,
    Recipe,
    default_values,
    flatten,
    plain,
)
from seloss.train.options.training import PRECISION_NAMES

from .environment import record_environment
from .precision import check_precision

__all__ = ["REQUEUE_FILE", "STOP_FILE", "Experiment", "open_experiment", "refuse_missing"]

_LOG = logging.getLogger(__name__)
STOP_FILE = "STOP"
"""In the experiment's folder: the run is to save and leave."""
REQUEUE_FILE = "REQUEUE"
"""There too: the run has stopped and must be started again; holds the numbers of its last step and
of the one it began after."""
_KEPT_BY_OVERWRITE = {"logs", ".lock", STOP_FILE, REQUEUE_FILE}


@dataclasses.dataclass(frozen=True)
class Experiment:
    """The folder of one run and the names of what lies in it."""

    folder: Path

    @property
    def conf(self) -> Path:
        """Every option as resolved; training from this file repeats the run."""
        return self.folder / "conf.yml"

    @property
    def checkpoints(self) -> Path:
        """Folder of the best and the last checkpoint."""
        return self.folder / "checkpoints"

    @property
    def last(self) -> Path | None:
        """The newest checkpoint, which a resumed run starts from; None before the first.

        Raises:
            ValueError: There are checkpoints, and none of them can be resumed from as it is.
        """
        from .checkpoint import newest_checkpoint

        return newest_checkpoint(self.checkpoints, self.epochs)

    @property
    def epochs(self) -> int:
        """How many epochs its history has."""
        path = self.folder / "history.csv"
        return len(path.read_text(encoding="utf-8").splitlines()[1:]) if path.is_file() else 0

    @property
    def started(self) -> bool:
        """Whether there is a checkpoint."""
        return any(self.checkpoints.glob("*.ckpt"))

    def progress(self) -> tuple[int, int]:
        """Return how many epochs and optimiser steps the newest checkpoint has behind it."""
        content = self._newest()
        if content is None:
            return 0, 0
        epochs = content["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
        return int(epochs), int(content["global_step"])

    def position(self) -> tuple[int, int, int | None]:
        """Return where a resumed run continues: epoch, mixtures done in it, step size then.

        The last is None if it is not known.
        """
        position = (self._newest() or {}).get("position", {})
        return self.progress()[0], int(position.get("done", 0)), position.get("step_size")

    def _newest(self) -> dict[str, Any] | None:
        import torch

        path = self.last
        if path is None:
            return None
        # Mapped: only the counters are read, not the tensors.
        content: dict[str, Any] = torch.load(path, "cpu", weights_only=True, mmap=True)
        return content

    @property
    def best_model(self) -> Path:
        """The best network as Asteroid stores models."""
        return self.folder / "best_model.pth"


@contextmanager
def open_experiment(parsed: Parsed[Any]) -> Iterator[Experiment]:
    """Hold the experiment's folder while its run is trained.

    A new folder gets ``conf.yml`` and ``environment.json``; one that holds a run of the same
    configuration is resumed; ``--overwrite`` removes what it holds (except ``logs``).

    Raises:
        ConfigError: A manifest is missing; the folder holds a run with other options, or something
            else than a run; another process is training in it; or this machine has not got the
            requested precision.
    """
    config = plain(parsed.config)
    experiment = Experiment(Path(parsed.config.exp_dir))
    check_precision(parsed.config.training)
    if process_rank() != 0:  # one of several processes of a run that the first of them opens
        _meet(parsed.config)
        yield experiment
        return
    refuse_missing(parsed.config.data)
    _refuse_other(experiment, config, type(parsed.config), parsed.overwrite)
    experiment.folder.mkdir(parents=True, exist_ok=True)
    with _lock(experiment.folder):
        if parsed.overwrite:
            _empty(experiment.folder)
        if experiment.started:
            mark_resumable()
            _LOG.info("resuming %s from %s", experiment.folder, experiment.last)
        for folder in (experiment.folder, experiment.checkpoints):
            remove_leftovers(folder)
        write_text(experiment.conf, yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
        record_environment(experiment.folder / "environment.json", parsed.config.training.seed)
        _meet(parsed.config)
        yield experiment


def refuse_missing(data: DataConfig) -> None:
    """Refuse data that are not there.

    Raises:
        ConfigError: Names the option and the file.
    """
    for name in ("train_json", "valid_json"):
        path = getattr(data, name)
        if not Path(path).is_file():
            raise ConfigError(
                f"data.{name}: no manifest {path}. Give --{name} FILE, or make it with "
                "scripts/data/prepare_mini.py or scripts/data/make_mixtures.py"
            )


def _refuse_other(
    experiment: Experiment, config: Mapping[str, Any], recipe: type[Recipe], overwrite: bool
) -> None:
    """Refuse a folder that holds a run of another configuration, or no run at all."""
    folder = experiment.folder
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"exp_dir {folder} is not a folder")
    if not experiment.conf.is_file():
        strangers = _strangers(folder)
        if strangers:
            raise ConfigError(
                f"exp_dir {folder} holds {', '.join(strangers[:3])} but no conf.yml: it is not an "
                "experiment. Choose another --exp_dir"
            )
        return
    if overwrite:
        return
    if not experiment.started:  # without a checkpoint there is nothing to lose but a history
        _refuse_orphan(experiment)
        return
    # An option that is newer than the run counts as it was then: as its default.
    defaults = default_values(recipe, config["network"])
    before = defaults | flatten(yaml.safe_load(experiment.conf.read_text(encoding="utf-8")) or {})
    before["training.precision"] = PRECISION_NAMES.get(
        before["training.precision"], before["training.precision"]
    )
    now = flatten(config)
    changed = [
        f"{key} was {before.get(key)!r}, is {now.get(key)!r}"
        for key in sorted({*before, *now} - FREE_KEYS)
        if before.get(key) != now.get(key)
    ]
    if changed:
        raise ConfigError(
            f"exp_dir {folder} holds a run with other options: {'; '.join(changed)}. "
            "Choose another --exp_dir, or throw that run away with --overwrite"
        )


def _refuse_orphan(experiment: Experiment) -> None:
    """Refuse to begin again over the history of a run whose checkpoints are gone.

    A single epoch may have been killed between its row and its checkpoint.
    """
    path = experiment.folder / "history.csv"
    if experiment.epochs > 1:
        raise ConfigError(
            f"{path} has {experiment.epochs} epochs, but {experiment.checkpoints} holds no "
            "checkpoint to resume from. Restore last.ckpt from a copy, choose another --exp_dir, "
            "or throw the run away with --overwrite"
        )
    if experiment.epochs:
        _LOG.warning("starting again: %s has one epoch, which left no checkpoint", path)


def _meet(config: Recipe) -> None:
    """Wait for each other, if a launcher started several processes: the folder is ready then."""
    if has_other_processes():
        from .distributed import find_layout, join

        join(find_layout(config.training))


def _strangers(folder: Path) -> list[str]:
    """Return what lies in the folder although no run was started in it."""
    if not folder.is_dir():
        return []
    return sorted(
        p.name
        for p in folder.iterdir()
        if p.name not in _KEPT_BY_OVERWRITE and not p.name.startswith(".")
    )


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name in _KEPT_BY_OVERWRITE:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Keep other processes out; the system drops the lock when this process dies.

    A record lock, unlike one by ``flock``, is not shared with data workers, which may outlive a
    killed run by some seconds.
    """
    with (folder / ".lock").open("a+", encoding="utf-8") as lock:
        try:
            lock_file(lock)
        except (BlockingIOError, PermissionError):
            raise ConfigError(f"another process is training in {folder}") from None
        yield
