"""Stop, save, kill, go on: with a network whose epoch takes milliseconds."""

from __future__ import annotations

import resource
from contextlib import nullcontext
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch

from seloss.program import Preempted
from seloss.train import EnhancementSystem, Experiment, build_trainer, training_loaders
from seloss.train.callbacks.checkpoints import AtomicCheckpointIO
from seloss.train.options.recipe import DataConfig, OptimConfig, TrainingConfig
from tests.data import make_manifest
from tests.seloss.train import tiny

N_ITEMS = 9


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> DataConfig:
    folder = tmp_path_factory.mktemp("data")
    train = make_manifest(folder, n_items=N_ITEMS, n_mics=1, seconds=0.05, name="train.json")
    return DataConfig(str(train), str(train), segment=None)


class Watcher(pl.Callback):
    """Note what is seen; ask to stop, or fall over, after some batches of this start."""

    def __init__(self, folder: Path, stop: int | None = None, crash: int | None = None) -> None:
        self.folder, self.stop, self.crash = folder, stop, crash
        self.seen: list[tuple[int, str]] = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.seen += [(trainer.current_epoch, name) for name in batch.ids]
        self.stop = None if self.stop is None else self.stop - 1
        if self.stop == 0:
            (self.folder / "STOP").touch()

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.crash = None if self.crash is None else self.crash - 1
        if self.crash == 0:
            raise KeyError("a crash")


def run(
    folder: Path, data: DataConfig, *, stop=None, crash=None, optim=None, network=None, **options
) -> Watcher:
    """Start or resume a training of three epochs."""
    optim = optim or OptimConfig(lr=0.01)
    defaults = {"epochs": 3, "monitor": "val/loss", "metrics": (), "num_workers": 0, "gpus": 0}
    training = TrainingConfig(**{**defaults, "listen": 0, "checkpoint_minutes": None, **options})
    experiment = Experiment(folder)
    torch.manual_seed(0)
    system = EnhancementSystem(
        (network or tiny.TinyNet)(),
        tiny.SquaredError(),
        optim=optim,
        lr_patience=1 if optim.schedule == "plateau" else None,
        seed=1,
    )
    loaders = training_loaders(data, training, experiment)
    trainer, _ = build_trainer(training, experiment, mode="min", sample_rate=16000, optim=optim)
    watcher = Watcher(folder, stop, crash)
    trainer.callbacks.insert(0, watcher)
    trainer.fit(system, *loaders, ckpt_path=experiment.last)
    return watcher


def outcome(folder: Path) -> tuple[dict[str, torch.Tensor], list[list[str]]]:
    """Return the last weights, and the learning curves without the time they took."""
    last = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    rows = [line.split(",")[:-1] for line in (folder / "history.csv").read_text().splitlines()]
    averaged = {f"averaged {name}": value for name, value in last.get("averaged", {}).items()}
    return last["state_dict"] | averaged, rows


def assert_same(first: Path, second: Path) -> None:
    (weights, curves), (others, other_curves) = outcome(first), outcome(second)
    assert all(torch.equal(value, others[name]) for name, value in weights.items())
    assert curves == other_curves


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """Runs that nothing interrupted, by the number of batches added up to a step."""
    made: dict[int, tuple[Path, Watcher]] = {}

    def whole(accumulate: int) -> tuple[Path, Watcher]:
        if accumulate not in made:
            folder = tmp_path_factory.mktemp("whole")
            made[accumulate] = (
                folder,
                run(folder, data, batch_size=2, accumulate_batches=accumulate),
            )
        return made[accumulate]

    return whole


@pytest.mark.parametrize(
    ("stop", "accumulate"), [(1, 1), (4, 1), (5, 1), (6, 1), (10, 1), (1, 2), (4, 2), (5, 2)]
)
def test_a_stopped_run_goes_on_with_the_next_mixture(data, whole, tmp_path, stop, accumulate):
    """Five batches an epoch: in it, at its last one, and between two."""
    options = {"batch_size": 2, "accumulate_batches": accumulate}
    folder, reference = whole(accumulate)
    with pytest.raises(Preempted, match="stopped after step") as leaving:
        run(tmp_path / "parts", data, stop=stop, **options)
    last, began = (tmp_path / "parts" / "REQUEUE").read_text().split()
    assert int(last) == leaving.value.step > int(began) == 0
    assert not (tmp_path / "parts" / "STOP").exists()
    second = run(tmp_path / "parts", data, **options)
    assert reference.seen[-len(second.seen) :] == second.seen
    assert_same(folder, tmp_path / "parts")
    left = {path.name for path in (tmp_path / "parts").iterdir()}
    assert not left & {"STOP", "REQUEUE"}
    names = {path.name for path in (tmp_path / "parts" / "checkpoints").iterdir()}
    assert not names & {"requeue.ckpt", "timed.ckpt"}


def other_data(folder: Path, n_items: int, name: str) -> DataConfig:
    """Return data of which the first items are those of `data`, as an edited manifest has them."""
    train = make_manifest(folder, n_items=n_items, n_mics=1, seconds=0.05, name=name)
    return DataConfig(str(train), str(train), segment=None)


@pytest.mark.parametrize("n_items", [3, N_ITEMS + 4])
def test_a_manifest_changed_in_the_middle_of_an_epoch_is_refused(data, tmp_path, n_items):
    """The epoch's rest was empty, without a notice, or of other mixtures."""
    with pytest.raises(Preempted):
        run(tmp_path / "run", data, stop=3, batch_size=2)
    other = other_data(tmp_path / "other", n_items, "train.json")
    message = (
        rf"training data have changed since \(was {N_ITEMS} mixtures, now {n_items}\).*in the "
        rf"middle of an epoch, after 6 of its {N_ITEMS}"
    )
    with pytest.raises(ValueError, match=message):
        run(tmp_path / "run", other, batch_size=2)
    assert run(tmp_path / "run", data, batch_size=2).seen  # with the former one it is resumed


def test_a_manifest_changed_between_two_epochs_is_said(data, tmp_path, caplog):
    run(tmp_path / "run", data, batch_size=2, epochs=1)
    other = other_data(tmp_path / "other", N_ITEMS + 1, "train.json")
    seen = run(tmp_path / "run", other, batch_size=2, epochs=2).seen
    assert len(seen) == N_ITEMS + 1
    for part in ("training", "validation"):
        change = f"the {part} data have changed since (was {N_ITEMS} mixtures, now {N_ITEMS + 1})"
        assert change in caplog.text


def test_a_run_stopped_again_and_again_ends_the_same(data, whole, tmp_path):
    for stop in (1, 3, 1, 1):
        with pytest.raises(Preempted):
            run(tmp_path / "parts", data, stop=stop, batch_size=2)
    run(tmp_path / "parts", data, batch_size=2)
    assert_same(whole(1)[0], tmp_path / "parts")


def test_the_rest_of_an_epoch_is_shared_anew_when_steps_become_larger(data, tmp_path):
    """As when a run goes on with other numbers of processes: nothing twice, nothing left out."""
    whole = run(tmp_path / "whole", data, batch_size=2, epochs=2)
    with pytest.raises(Preempted):
        run(tmp_path / "parts", data, stop=2, batch_size=2, epochs=2)
    rest = run(tmp_path / "parts", data, batch_size=3, epochs=2)
    assert rest.seen == whole.seen[4:]
    assert len(outcome(tmp_path / "parts")[1]) == 3


def test_a_crash_loses_what_came_after_the_last_timed_checkpoint_only(data, whole, tmp_path):
    with pytest.raises(KeyError, match="a crash"):
        run(tmp_path / "parts", data, crash=8, batch_size=2, checkpoint_minutes=1e-9)
    experiment = Experiment(tmp_path / "parts")
    assert experiment.last.name == "timed.ckpt"
    assert experiment.progress() == (1, 7)  # the crash came before the eighth step was saved
    assert experiment.position()[:2] == (1, 4)
    resumed = run(tmp_path / "parts", data, batch_size=2, checkpoint_minutes=None)
    assert len(resumed.seen) == 3 * N_ITEMS - N_ITEMS - 4
    assert_same(whole(1)[0], tmp_path / "parts")


@pytest.mark.parametrize("interruption", [{"stop": 4}, {"stop": 6}, {"crash": 8}])
def test_the_average_and_the_cosine_go_on_where_they_were(data, tmp_path, interruption):
    """Batch norms too: their statistics are averaged with the weights."""
    options = {
        **{"batch_size": 2, "ema_decay": 0.9, "network": tiny.NormedNet},
        "optim": OptimConfig(lr=0.01, schedule="cosine", warmup_steps=3),
    }
    run(tmp_path / "whole", data, **options)
    with pytest.raises((Preempted, KeyError)):
        run(tmp_path / "parts", data, **interruption, checkpoint_minutes=1e-9, **options)
    run(tmp_path / "parts", data, **options)
    assert_same(tmp_path / "whole", tmp_path / "parts")
    assert "averaged norm.running_var" in outcome(tmp_path / "parts")[0]


@pytest.fixture
def full_disk():
    """Return a function that lets the system refuse to write more than 20 kB to a file."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("name", ["last.ckpt", "timed.ckpt"])
def test_a_disk_that_is_full_keeps_the_last_good_checkpoint(tmp_path, full_disk, caplog, name):
    """Training ends, except for want of a checkpoint inside an epoch."""
    path, io = tmp_path / name, AtomicCheckpointIO()
    io.save_checkpoint({"weights": torch.ones(3)}, path)
    full_disk()
    message = r"cannot save .*last\.ckpt .*\. The checkpoint before it is good"
    ends = pytest.raises(OSError, match=message)
    with ends if name == "last.ckpt" else nullcontext():
        io.save_checkpoint({"weights": torch.zeros(100_000)}, path)
    assert (f"cannot save {path}" in caplog.text) == (name == "timed.ckpt")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert torch.equal(io.load_checkpoint(path)["weights"], torch.ones(3))
