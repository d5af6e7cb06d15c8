"""The TAC recipe as a program: refusals at once, published flags, exact resume after SIGKILL."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch

from seloss.train import Recipe, parse_recipe
from tests.data import make_manifest
from tests.programs import ROOT, run, surroundings
from tests.warm_python import python

TRAIN = ROOT / "egs" / "TAC" / "train.py"
TINY = "--enc_dim 8 --feature_dim 8 --hidden_dim 8 --n_layers 1 --window_ms 16 --segment 0.3"
SHORT = [*TINY.split(), "--epochs", "6", "--lr_patience", "1", "--metrics", "si_sdr,stoi"]


def options(*argv: str) -> Recipe:
    return parse_recipe(Recipe, argv, defaults=TRAIN.parent / "conf.yml").config


def train(*arguments: object) -> subprocess.CompletedProcess[str]:
    return run(TRAIN, *arguments)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> list[str]:
    folder = tmp_path_factory.mktemp("data")
    train_json = make_manifest(folder / "train", n_items=8, n_mics=[2, 3], seconds=[0.5, 0.4])
    valid_json = make_manifest(folder / "valid", n_items=2, seconds=0.4, seed=9)
    return ["--train_json", str(train_json), "--valid_json", str(valid_json)]


def test_the_small_configuration_is_valid():
    small = options("--config", str(TRAIN.with_name("conf_small.yml")))
    assert small.build_network().n_layers < options().build_network().n_layers


def test_the_published_network_is_the_default():
    network = options().build_network()
    # Counted on the release's FasNetTAC with the recipe's configuration.
    assert sum(p.numel() for p in network.parameters()) == 2_759_375


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--enc_dim", "big"], "net.enc_dim: expected int; got big"),
        (["--learning_rate", "1"], "--learning_rate is unknown"),
        (["--train_json", "nowhere.json"], "data.train_json: no manifest nowhere.json"),
    ],
)
def test_wrong_usage_is_refused_within_a_second(arguments, message, tmp_path):
    before = os.times()
    # A real interpreter: what it imports counts.
    done = run(sys.executable, TRAIN, "--exp_dir", tmp_path / "e", *arguments, status=2)
    after = os.times()
    seconds = after.children_user + after.children_system
    seconds -= before.children_user + before.children_system
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert seconds < 1.0  # of processor time: no library was imported
    assert not (tmp_path / "e").exists()


def test_help():
    done = train("--help")
    for flag in ("--exp_dir", "--loss.scale", "--net.enc_dim", "--weights_type"):
        assert flag in done.stdout


def state(folder: Path) -> dict[str, torch.Tensor]:
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    optimizer = checkpoint["optimizer_states"][0]["state"]
    moments = {f"{i}.{k}": v for i, moment in optimizer.items() for k, v in moment.items()}
    averaged = {f"averaged.{name}": v for name, v in checkpoint.get("averaged", {}).items()}
    return {**checkpoint["state_dict"], **moments, **averaged}


def wait_for_epochs(process: subprocess.Popen[str], history: Path, rows: int) -> None:
    """Wait until a training's history has so many epochs, or the training has ended."""
    deadline = time.monotonic() + 300
    while process.poll() is None:
        if history.exists() and len(history.read_text().splitlines()) > rows:
            return
        assert time.monotonic() < deadline, f"no epoch {rows} within 300 s"
        time.sleep(0.005)


def kill_after(rows: int, delay: float, folder: Path, arguments: list[object]) -> bool:
    """Start training; SIGKILL it some time after its history has so many epochs.

    Returns:
        Whether it was still training: on a busy machine this process may come too late.
    """
    # A real interpreter: it is the process itself that must be dead before the next one starts.
    command = [sys.executable, str(TRAIN), *(str(a) for a in arguments)]
    process = subprocess.Popen(command, env=surroundings(), stderr=subprocess.DEVNULL, text=True)
    wait_for_epochs(process, folder / "history.csv", rows)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)  # its data workers live on for some seconds
    status = process.wait()
    assert status in (0, -signal.SIGKILL)
    return status != 0


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory) -> Path:
    """A run of six epochs that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    train("--exp_dir", folder, "--num_workers", 0, *data, *SHORT)
    return folder


def check_resume(
    whole: Path, data: list[str], folder: Path, kills: list[tuple[int, float]], *more: object
):
    killed = ["--exp_dir", folder, "--num_workers", 2, *data, *SHORT, *more]
    for _ in range(3):
        shutil.rmtree(folder, ignore_errors=True)
        if all(kill_after(rows, delay, folder, killed) for rows, delay in kills):
            break
    else:
        pytest.fail("every time it had ended before it could be killed")
    resumed = train(*killed)
    assert "resuming" in resumed.stderr
    expected, found = state(whole), state(folder)
    assert expected.keys() == found.keys()
    different = [name for name, value in expected.items() if not torch.equal(value, found[name])]
    assert not different
    tables = [(f / "history.csv").read_text() for f in (whole, folder)]
    first, second = ([row.rpartition(",")[0] for row in table.split()] for table in tables)
    assert first == second  # apart from the last column, the seconds
    best = [torch.load(f / "best_model.pth", weights_only=True) for f in (whole, folder)]
    for name, value in best[0]["state_dict"].items():
        assert torch.equal(value, best[1]["state_dict"][name])


def test_a_run_killed_in_an_epoch_ends_with_the_weights_of_one_never_killed(whole, data, tmp_path):
    check_resume(whole, data, tmp_path / "killed", [(2, 0.1)])


@pytest.mark.slow
def test_a_killed_run_has_the_average_and_the_rates_of_one_never_killed(data, tmp_path):
    more = ["--ema_decay", 0.9, "--schedule", "cosine", "--warmup_steps", 5]
    train("--exp_dir", tmp_path / "whole", "--num_workers", 0, *data, *SHORT, *more)
    check_resume(tmp_path / "whole", data, tmp_path / "killed", [(1, 0.05), (3, 0.0)], *more)
    assert any(name.startswith("averaged.") for name in state(tmp_path / "killed"))


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_stopped_does_not_look_finished(data, tmp_path, number, status):
    command = [python(), str(TRAIN), "--exp_dir", str(tmp_path / "e"), *data, *SHORT]
    command += ["--epochs", "500", "--num_workers", "1"]
    process = subprocess.Popen(
        command,
        env=surroundings(),
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=partial(signal.signal, number, signal.SIG_DFL),  # these tests may ignore it
    )
    # the row of an epoch is written before its checkpoint: with the second, the first is there
    wait_for_epochs(process, tmp_path / "e" / "history.csv", 2)
    process.send_signal(number)
    errors = process.communicate(timeout=300)[1]
    assert process.returncode == status, errors
    assert "the same command resumes" in errors


@pytest.mark.slow
def test_a_run_killed_again_and_again_ends_the_same(whole, data, tmp_path):
    kills = [(0, 0.0), (1, 0.0), (1, 0.02), (2, 0.25), (3, 0.3), (4, 0.01)]
    check_resume(whole, data, tmp_path / "killed", kills)


def test_the_written_configuration_repeats_the_run(whole, tmp_path):
    train("--exp_dir", tmp_path / "again", "--config", whole / "conf.yml")
    first, again = state(whole), state(tmp_path / "again")
    assert all(torch.equal(value, again[name]) for name, value in first.items())
