"""Several processes: their layout, what they tell each other, and that they learn what one does."""

from __future__ import annotations

import csv
import json
import math
import os
import socket
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import multiprocessing

from seloss.train.options.recipe import TrainingConfig
from seloss.train.run import distributed
from seloss.train.run.distributed import average, find_layout
from tests.data import make_manifest
from tests.programs import ROOT, run
from tests.warm_python import python

LAUNCHER = ("TORCHELASTIC_RUN_ID", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "RANK", "LOCAL_RANK")


@pytest.fixture
def launched(monkeypatch):
    """Set what torchrun sets."""

    def launched(world: int, per_node: int, rank: int) -> None:
        values = ("run", world, per_node, rank, rank % per_node)
        for name, value in zip(LAUNCHER, values, strict=True):
            monkeypatch.setenv(name, str(value))

    for name in LAUNCHER:
        monkeypatch.delenv(name, raising=False)
    return launched


def training(**options) -> TrainingConfig:
    return TrainingConfig(**{"gpus": 0, **options})


def test_without_a_launcher_the_options_say_how_many(launched):
    assert find_layout(training()).world == 1
    layout = find_layout(training(ranks=4))
    assert (layout.world, layout.rank, layout.launched) == (4, 0, False)


def test_a_launcher_says_how_many(launched):
    launched(world=6, per_node=3, rank=4)
    layout = find_layout(training(nodes=2, ranks=3))
    assert (layout.nodes, layout.per_node, layout.rank, layout.launched) == (2, 3, 4, True)
    assert layout.backend == "gloo"
    said = layout.describe(batch_size=2, accumulated=5)
    assert said.startswith(
        "effective batch size 60: 2 per CPU process x 3 per node x 2 node(s) x 5"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ranks": 2}, "training.ranks is 2, but the launcher started 3"),
        ({"nodes": 3}, "training.nodes is 3, but the launcher started 2"),
    ],
)
def test_options_that_contradict_the_launcher_are_refused(launched, options, message):
    launched(world=6, per_node=3, rank=4)
    with pytest.raises(ValueError, match=message):
        find_layout(training(**options))


def test_several_nodes_without_a_launcher_are_refused(launched):
    with pytest.raises(ValueError, match="nothing has started processes on several nodes"):
        find_layout(training(nodes=2))


def test_the_average_does_not_depend_on_the_order():
    draw = torch.Generator().manual_seed(0)
    values = [*(torch.randn(999, generator=draw).double() * 1e8).tolist(), math.nan]
    expected = average(values)
    assert expected == average(values[::-1]) == average(sorted(values[:-1]))
    assert math.isnan(average([math.nan]))
    assert math.isnan(average([]))


def _process(rank: int, port: int, folder: str) -> None:
    os.environ.update(
        zip(LAUNCHER, map(str, ("run", 2, 2, rank, rank)), strict=True),
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
    )
    distributed.join(find_layout(training()))
    gathered = distributed.gather_values([float(rank)] * (rank + 1))
    summed = distributed.total(torch.tensor([1.0, rank]))
    told = distributed.first_rank_says(7 if rank == 0 else 1, torch.device("cpu"))
    distributed.check_agreement("the data", "the same")
    try:
        distributed.check_agreement("the data", rank)
        disagreed = ""
    except RuntimeError as error:
        disagreed = str(error)
    norm = torch.nn.Module()
    norm.register_buffer("running_mean", torch.full((2,), float(rank)))
    norm.register_buffer("window", torch.full((2,), float(rank)))
    distributed.RunningStatistics().on_train_batch_end(None, norm)
    found = (
        gathered,
        summed.tolist(),
        told,
        disagreed,
        norm.running_mean.tolist(),
        norm.window[0].item(),
    )
    Path(folder, str(rank)).write_text(json.dumps(found), encoding="utf-8")
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def test_what_processes_tell_each_other(tmp_path):
    for attempt in range(3):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        try:
            multiprocessing.spawn(_process, (port, str(tmp_path)), nprocs=2)
            break
        except multiprocessing.ProcessRaisedException as error:
            if attempt == 2 or "EADDRINUSE" not in str(error):  # somebody else was faster
                raise
    for rank in (0, 1):
        found = json.loads((tmp_path / str(rank)).read_text(encoding="utf-8"))
        assert found[0] == [0.0, 1.0, 1.0]
        assert found[1] == [2.0, 1.0]
        assert found[2] == 7
        assert "disagree on the data (rank 0: 0, rank 1: 1)" in found[3]
        assert found[4] == [0.5, 0.5]
        assert found[5] == rank  # only running statistics are averaged


TINY = "--enc_dim 8 --feature_dim 8 --hidden_dim 8 --n_layers 1 --window_ms 16 --segment 0.3"


@pytest.fixture(scope="module")
def curves(tmp_path_factory):
    """Train with an effective batch of 4 on 11 mixtures, and validate on 5, in several ways."""
    folder = tmp_path_factory.mktemp("ranks")
    train = make_manifest(folder, n_items=11, n_mics=[2, 3], seconds=[0.5, 0.4], name="train.json")
    valid = make_manifest(folder, n_items=5, seconds=0.4, seed=9, name="valid.json", prefix="v")
    common = [*TINY.split(), "--epochs", "3", "--num_workers", "0", "--gpus", "0"]
    common += ["--train_json", str(train), "--valid_json", str(valid)]

    @cache
    def learned(launcher: tuple[str, ...], *options: str) -> list[dict[str, float]]:
        name = "_".join(options)
        command = [*launcher, ROOT / "egs" / "TAC" / "train.py", *common, "--exp_dir"]
        run(*command, folder / name, *options, timeout=900, PYTHON_EXEC=python())
        with (folder / name / "history.csv").open() as table:
            rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(table)]
        return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]

    return learned


TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node")


@pytest.mark.slow
@pytest.mark.timeout(1900)
def test_one_and_four_processes_learn_the_same(curves):
    """The last step of an epoch has three mixtures, so one of four processes has none."""
    alone = curves((), "--batch_size", "4")
    four = curves((*TORCHRUN, "4"), "--batch_size", "1")
    for ours, theirs in zip(four, alone, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)  # float32 sums in another order


@pytest.mark.slow
@pytest.mark.timeout(1900)
def test_processes_that_lightning_starts_learn_the_same(curves):
    alone = curves((), "--batch_size", "4")
    two = curves((), "--batch_size", "2", "--ranks", "2")
    for ours, theirs in zip(two, alone, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)
