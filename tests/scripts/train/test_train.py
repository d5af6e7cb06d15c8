"""Published arguments of the launchers of training, and the recipes' options that they become."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PUBLISHED = shlex.split("XP1 neg_sisdr local 0 1 1024 256 mel 18 speech_norm")


def options(done: subprocess.CompletedProcess[str], recipe: str = "TAC") -> dict[str, str]:
    """Return the recipe's options that a dry run shows."""
    assert done.returncode == 0, done.stderr
    words = shlex.split(done.stdout)
    if "torch.distributed.run" in words:  # one process for each GPU
        words = words[words.index("--") + 1 :]
    assert words[1] == str(ROOT / "egs" / recipe / "train.py")
    return dict(zip(words[2::2], words[3::2], strict=True))


def test_the_published_arguments_become_the_recipes_options(launch, folder):
    done = launch("train", "fasnet", "--dry-run", *PUBLISHED)
    data = str(folder / "data" / "unseen.json")
    assert options(done) == {
        "--exp_dir": str(folder / "experiments" / "XP1"),
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
    assert not (folder / "experiments").exists()


def test_the_published_defaults(launch):
    done = launch("train", "fasnet", "--dry-run", "XP1", "xp1", "local", "2", "48:00:00")
    published = {"--n_fft": "1024", "--hop_length": "256", "--scale": "mel", "--n_bins": "18"}
    published |= {"--weights_type": "None", "--gpus": "2"}
    assert published.items() <= options(done).items()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("cnunet --dry-run T 2 local 0 1", {"--stage": "2", "--gpus": "0"}),
        ("dccrn T si_snr_lms local - 1 --dry-run", {"--loss_preset": "si_snr_lms", "--gpus": "-1"}),
        ("dccrn --dry-run T si_snr+0.5*lms local 0 1", {"--loss": "si_snr+0.5*lms"}),
        (
            "dcunet T DCUnet-10 mse local 0 1 --dry-run tanh cRMRn",
            {"--architecture": "DCUnet-10", "--loss": "mse", "--mask": "tanh", "--form": "cRMRn"},
        ),
        ("dcunet --dry-run T DCUnet-10 mse local 0 1", {"--mask": "tanh", "--form": "cRMCn"}),
        ("dcunet --dry-run T DCUnet-10 mse local 0 1 - RMRn", {"--mask": "magnitude"}),
    ],
)
def test_the_arguments_of_other_networks(launch, words, expected):
    net, *rest = words.split()
    recipe = {"cnunet": "CNUNet", "dccrn": "DCCRN", "dcunet": "DCUNet"}[net]
    assert expected.items() <= options(launch("train", net, *rest), recipe).items()


def test_further_options_go_to_the_recipe(launch):
    more = ("--", "--epochs", "3", "--exp_dir", "a b")
    words = shlex.split(launch("train", "fasnet", "--dry-run", *PUBLISHED, *more).stdout)
    assert words[-4:] == ["--epochs", "3", "--exp_dir", "a b"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["XP1"], "the following arguments are required: LOSS, CLUSTER, GPUS, WALLTIME"),
        ([*PUBLISHED, "more"], "unrecognized arguments: more"),
        (["XP1", "xp1", "gres", "2", "48"], "cluster must be one of auto, local; got 'gres'"),
        (["XP1", "xp1", "local", "two", "48"], "GPUs must be a number; got 'two'"),
        (["XP1", "xp1", "local", "0", "soon"], "walltime must be hours or H:MM:SS; got 'soon'"),
        (["a/b", "xp1", "local", "0", "1"], "the tag must be the plain name of a folder"),
        ([".x", "xp1", "local", "0", "1"], "the tag must be the plain name of a folder"),
        (["-x", "xp1", "local", "0", "1"], "the following arguments are required: WALLTIME"),
        (["--fast", *PUBLISHED], "unrecognized arguments: --fast"),
        (["--dry", *PUBLISHED], "unrecognized arguments: --dry"),  # no abbreviations
        (["--train_json"], "--train_json: expected one argument"),
        (["--nodes", "0", *PUBLISHED], "--nodes: must be a number from 1 on; got '0'"),
        (["--nodes", "2", *PUBLISHED], "this machine is 1 node, not 2: name a cluster"),
    ],
)
def test_wrong_usage(launch, folder, words, message):
    done = launch("train", "fasnet", *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.splitlines()[-1].startswith("train_fasnet.sh: error: ")
    assert not (folder / "experiments").exists()


def test_a_stage_that_is_none_is_refused(launch):
    done = launch("train", "cnunet", "T", "3", "local", "0", "1")
    assert (done.returncode, "argument STAGE: invalid choice: '3'" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("net", "maker"),
    [
        ("fasnet", "scripts/data/prepare_mini.py and scripts/data/make_mixtures.py make it"),
        ("dccrn", "egs/DCCRN/local/prepare.py makes it"),
    ],
)
def test_missing_data_says_how_to_get_some(launch, net, maker):
    words = ("T", "xp1", "local", "0", "1")
    done = launch("train", net, *words, SELOSS_TRAIN_JSON="/nowhere/train.json")
    assert done.returncode == 1
    assert "no manifest /nowhere/train.json: give --train_json FILE, or set SELOSS" in done.stderr
    assert maker in done.stderr


def test_the_launcher_runs_the_recipe_and_logs_its_failure(launch, folder):
    wrong = [*PUBLISHED[:7], "bark", *PUBLISHED[8:]]
    script = ROOT / "scripts" / "train" / "train_fasnet.sh"
    done = subprocess.run(["bash", script, *wrong], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    message = "scale must be one of linear, mel, critical; got 'bark'"
    assert message in done.stderr
    logs = folder / "experiments" / "XP1" / "logs"
    assert message in (logs / "train.log").read_text(encoding="utf-8")
    assert (logs / "train.state").read_text(encoding="utf-8").startswith("failed ")


def published_script(*words: str) -> subprocess.CompletedProcess[str]:
    command = ["bash", str(ROOT / "egs" / "TAC" / "run_.sh"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            "--stage 3 --tag T --id 0,1 --loss neg_sisdr --scale mel --n_fft 512 --hop_length 128 "
            "--n_bins 18 --weights_type sigmoid",
            {"--weights_type": "sigmoid", "--n_fft": "512", "--hop_length": "128"},
        ),
        # without a tag the same command names the same experiment, so it resumes it
        (
            "--loss neg_sisdr --scale critical --n_bins 21 --weights_type sigmoid",
            {"--n_bins": "21"},
        ),
    ],
)
def test_the_published_script_of_the_recipe(monkeypatch, words, expected):
    monkeypatch.setenv("DRY_RUN", "1")
    given = options(published_script(*words.split()))
    assert expected.items() <= given.items()
    tag = "T" if "--tag" in words else "TAC_neg_sisdr_critical_21_sigmoid"
    assert Path(given["--exp_dir"]).name == tag


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--loss is needed"),
        (["stray"], "unknown argument stray"),
        (["--loss"], "--loss needs a value"),
        (["--loss", "xp1", "--stage", "9"], "--stage must be 0 to 3; got '9'"),
    ],
)
def test_wrong_usage_of_the_recipe_script(words, message):
    done = published_script(*words)
    assert done.returncode == 2
    assert message in done.stderr


def test_no_launcher_waits_for_torch():
    """A wrong word must be refused at once."""
    code = "import sys, seloss.cli.cluster.train, seloss.cli.cluster.sweep; "
    code += "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
