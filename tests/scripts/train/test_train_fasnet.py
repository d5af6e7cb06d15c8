from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.data import make_manifest

ROOT = Path(__file__).resolve().parents[3]
LAUNCHER = ROOT / "scripts" / "train" / "train_fasnet.sh"
RECIPE = ROOT / "egs" / "TAC" / "run_.sh"
PUBLISHED = shlex.split("XP1 neg_sisdr local 0 1 1024 256 mel 18 speech_norm")


@pytest.fixture
def run(tmp_path):
    """Run a launcher with manifests and experiments in a folder with a space."""
    folder = tmp_path / "my data"
    manifest = str(make_manifest(folder, n_items=1, seconds=0.3))
    environment = {
        **os.environ,
        "SELOSS_TRAIN_JSON": manifest,
        "SELOSS_VALID_JSON": manifest,
        "SELOSS_EXPERIMENTS": str(tmp_path / "my experiments"),
        "PYTHON": sys.executable,
        "OMP_NUM_THREADS": "1",
    }

    def run(*arguments: str, launcher: Path = LAUNCHER, **changes: str):
        return subprocess.run(
            ["bash", str(launcher), *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            cwd=tmp_path,
            env={**environment, **changes},
        )

    return run


def flags(command: str) -> dict[str, str]:
    words = shlex.split(command)
    if "torch.distributed.run" in words:  # one process for each GPU
        words = words[words.index("--") + 1 :]
    assert words[1] == str(ROOT / "egs" / "TAC" / "train.py")
    return dict(zip(words[2::2], words[3::2], strict=True))


@pytest.mark.parametrize("launcher", [LAUNCHER, RECIPE])
def test_help(run, launcher):
    done = run("--help", launcher=launcher)
    assert done.returncode == 0
    assert "Usage:" in done.stdout
    assert "neg_sisdr" in done.stdout


def test_the_published_arguments_become_the_recipes_flags(run, tmp_path):
    done = run("--dry-run", *PUBLISHED)
    assert done.returncode == 0, done.stderr
    data = str(tmp_path / "my data" / "manifest.json")
    assert flags(done.stdout) == {
        "--exp_dir": str(tmp_path / "my experiments" / "XP1"),
        "--train_json": data,
        "--valid_json": data,
        "--gpus": "0",
        "--loss": "neg_sisdr",
        "--n_fft": "1024",
        "--hop_length": "256",
        "--scale": "mel",
        "--n_bins": "18",
        "--weights_type": "speech_norm",
    }
    assert not (tmp_path / "my experiments").exists()


def test_the_published_defaults(run):
    given = flags(run("--dry-run", "XP1", "xp1", "local", "2", "48:00:00").stdout)
    published = {"--n_fft": "1024", "--hop_length": "256", "--scale": "mel", "--n_bins": "18"}
    assert published.items() <= given.items()
    assert given["--weights_type"] == "None"
    assert given["--gpus"] == "2"


def test_further_options_go_to_the_recipe(run):
    done = run("--dry-run", *PUBLISHED, "--", "--epochs", "3", "--exp_dir", "a b")
    assert flags(done.stdout)["--epochs"] == "3"
    assert "a b" in shlex.split(done.stdout)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["XP1"], "5 to 10 arguments are needed; got 1"),
        ([*PUBLISHED, "more"], "5 to 10 arguments are needed; got 11"),
        (["XP1", "xp1", "gres", "2", "48"], "cluster must be one of auto, grid5000, local"),
        (["XP1", "xp1", "local", "two", "48"], "GPUs must be a number; got 'two'"),
        (["XP1", "xp1", "local", "0", "soon"], "walltime must be hours or H:MM:SS; got 'soon'"),
        (["a/b", "xp1", "local", "0", "1"], "the tag must be the plain name of a folder"),
        (["-x", "xp1", "local", "0", "1"], "the tag must be the plain name of a folder"),
        (["--fast", *PUBLISHED], "unknown option --fast"),
        (["--train_json"], "--train_json needs a file"),
    ],
)
def test_wrong_usage(run, tmp_path, arguments, message):
    done = run(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "my experiments").exists()


def test_missing_data_says_how_to_get_some(run):
    done = run(*PUBLISHED, SELOSS_TRAIN_JSON="/nowhere/train.json")
    assert done.returncode == 1
    assert "no manifest /nowhere/train.json" in done.stderr
    assert "prepare_mini" in done.stderr


def test_the_recipes_failure_is_the_launchers_and_is_logged(run, tmp_path):
    wrong = [*PUBLISHED[:7], "bark", *PUBLISHED[8:]]
    done = run(*wrong)
    assert done.returncode == 2
    message = "loss.scale: must be one of linear, mel, critical; got bark"
    assert message in done.stderr
    log = tmp_path / "my experiments" / "XP1" / "logs" / "train.log"
    assert message in log.read_text(encoding="utf-8")


def test_the_published_recipe_script(run):
    options = shlex.split("--stage 3 --tag T --id 0,1 --loss neg_sisdr --scale mel --n_fft 512")
    options += shlex.split("--hop_length 128 --n_bins 18 --weights_type sigmoid")
    done = run(*options, launcher=RECIPE, DRY_RUN="1")
    given = flags(done.stdout)
    assert Path(given["--exp_dir"]).name == "T"
    assert given["--weights_type"] == "sigmoid"
    assert (given["--n_fft"], given["--hop_length"]) == ("512", "128")


def test_the_published_recipe_script_resumes_without_a_tag(run):
    """The same command names the same experiment, so it resumes it."""
    options = shlex.split("--loss neg_sisdr --scale critical --n_bins 21 --weights_type sigmoid")
    first, second = (run(*options, launcher=RECIPE, DRY_RUN="1").stdout for _ in range(2))
    assert first == second
    assert Path(flags(first)["--exp_dir"]).name == "TAC_neg_sisdr_critical_21_sigmoid"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--loss is needed"),
        (["stray"], "unknown argument stray"),
        (["--loss"], "--loss needs a value"),
        (["--loss", "xp1", "--stage", "9"], "--stage must be 0 to 3; got '9'"),
    ],
)
def test_wrong_usage_of_the_recipe_script(run, arguments, message):
    done = run(*arguments, launcher=RECIPE)
    assert done.returncode == 2
    assert message in done.stderr


def test_the_scripts_pass_shellcheck():
    shellcheck = Path(sys.executable).with_name("shellcheck")
    scripts = [ROOT / "scripts" / "submit.sh", LAUNCHER, RECIPE]
    scripts += (ROOT / "scripts" / "evaluate").glob("evaluate_fasnet.sh")
    done = subprocess.run(
        [shellcheck, "-x", *scripts], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout
