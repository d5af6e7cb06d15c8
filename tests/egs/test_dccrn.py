"""The DCCRN recipe: published values, refusals, the whole comparison, a loss of one's own."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest

from asteroid.losses import SumLoss, build_training_loss
from seloss.train import Recipe, parse_recipe
from tests.data import noise_like, speech_like
from tests.programs import ROOT, run

RECIPE = ROOT / "egs" / "DCCRN"
TRAIN = RECIPE / "train.py"
LAUNCHER = ROOT / "scripts" / "train" / "train_dccrn.sh"
EVALUATE = ROOT / "scripts" / "evaluate" / "evaluate_dccrn.sh"
TINY = "--channels 4,4,8 --hidden 8 --n_layers 1 --segment 0.3 --num_workers 0 --metrics si_sdr"


def options(*argv: str) -> Recipe:
    return parse_recipe(Recipe, argv, defaults=RECIPE / "conf.yml").config


@pytest.fixture(scope="module")
def arrays(tmp_path_factory) -> Path:
    """Train, valid and test arrays of half a second, in a folder with a space."""
    folder = tmp_path_factory.mktemp("my data")
    prepare = RECIPE / "local" / "prepare.py"

    def pair(seed: int, snr_db: float) -> np.ndarray:
        speech, noise = speech_like(0.6, seed=seed), noise_like(0.6, seed=seed)
        gain = np.std(speech) / np.std(noise) * 10 ** (-snr_db / 20)
        return np.stack([speech + gain * noise, speech]).astype(np.float32)

    for name, seeds in (("train", range(4)), ("valid", range(10, 12))):
        np.save(folder / f"{name}.npy", np.stack([pair(seed, 0.0) for seed in seeds]))
    grid = [[[pair(20 + i, snr) for i in range(2)] for snr in (-5.0, 5.0)] for _ in range(2)]
    np.save(folder / "test.npy", np.array(grid))
    for name in ("train", "valid", "test"):
        run(prepare, "--describe", folder / f"{name}.npy", "--snr_db", "-5", "5")
    return folder


def test_the_published_network_and_training_are_the_default():
    network = options().build_network()
    assert sum(p.numel() for p in network.parameters()) == 3_671_053
    assert (options().optim.lr, options().training.epochs, options().training.batch_size) == (
        5e-4,
        100,
        15,
    )


def test_the_small_configuration_is_valid():
    small = options("--config", str(RECIPE / "conf_small.yml"))
    assert small.net["n_layers"] < options().net["n_layers"]
    assert small.net["norm"] == options().net["norm"]


def test_the_small_causal_configuration_is_the_network_of_the_package():
    from seloss.pretrained import load_model

    config = options("--config", str(RECIPE / "conf_small_causal.yml"))
    network = config.build_network()
    assert sum(p.numel() for p in network.parameters()) == 231_565
    assert network.latency_samples == 400
    network.load_state_dict(load_model("dccrn-small-causal").state_dict())
    assert (config.optim.schedule, config.training.ema_decay) == ("cosine", 0.999)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--loss", "si_snr+lsm"], "got 'lsm' (did you mean lms?)"),
        (["--loss_preset", "si_snr_lsm"], "--loss_preset must be one of "),
        (["--masking", "Q"], "masking"),
        (["--train_json", "nowhere.npy"], "nowhere.npy"),
    ],
)
def test_wrong_usage_is_refused(arguments, message, tmp_path):
    there = ["--train_json", TRAIN, "--valid_json", TRAIN]  # only their presence counts here
    done = run(TRAIN, "--exp_dir", tmp_path / "e", *there, *arguments, status=2)
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "e").exists()


@pytest.mark.parametrize(
    ("loss", "flag"),
    [
        ("si_snr_lms", ["--loss_preset", "si_snr_lms"]),
        ("pmsqe", ["--loss_preset", "pmsqe"]),
        ("si_snr+0.5*lms", ["--loss", "si_snr+0.5*lms"]),
        ("mine.py:MyLoss", ["--loss", "mine.py:MyLoss"]),
        ("neg_sisdr", ["--loss", "neg_sisdr"]),
    ],
)
def test_the_launcher_takes_every_way_to_name_a_loss(arrays, tmp_path, loss, flag):
    data = ["--train_json", arrays / "train.npy", "--valid_json", arrays / "valid.npy"]
    done = run(
        LAUNCHER,
        *("--dry-run", *data, "TAG", loss, "local", "0", "1", "--", "--lr", "1e-3"),
        SELOSS_EXPERIMENTS=tmp_path / "experiments",
    )
    words = shlex.split(done.stdout)
    assert words[1] == str(TRAIN)
    at = words.index(flag[0])
    assert words[at : at + 2] == flag
    assert words[-2:] == ["--lr", "1e-3"]
    assert not (tmp_path / "experiments").exists()


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        (LAUNCHER, ["TAG", "mse"], "arguments are required: CLUSTER, GPUS, WALLTIME"),
        (LAUNCHER, ["TAG", "mse", "local", "many", "1"], "GPUs must be a number; got 'many'"),
        (EVALUATE, ["5", "TAG"], "STAGE must be 1 to 4, a list of them, or all; got '5'"),
        (EVALUATE, ["all", "../TAG"], "the tag must be the plain name of a folder"),
        (RECIPE / "run_.sh", ["--stage", "4"], "stages are 0 to 3; got '4'"),
        (RECIPE / "run_.sh", ["--losses", ""], "--losses needs at least one loss"),
        (RECIPE / "run_.sh", ["--loss"], "unknown argument --loss"),
    ],
)
def test_the_launchers_refuse_wrong_usage(arrays, script, arguments, message):
    data = {f"SELOSS_{part.upper()}_JSON": arrays / f"{part}.npy" for part in ("train", "valid")}
    assert message in run(script, *arguments, status=2, **data).stderr


def test_an_experiment_that_is_not_there_is_named(arrays, tmp_path):
    done = run(
        *(EVALUATE, "all", "NONE", arrays / "test.npy"), status=1, SELOSS_EXPERIMENTS=tmp_path
    )
    assert "train it first" in done.stderr


def test_the_dry_run_shows_the_whole_comparison(arrays, tmp_path):
    done = run(
        *(RECIPE / "run_.sh", "--dry-run", "--data", arrays, "--losses", "all"),
        SELOSS_EXPERIMENTS=tmp_path / "experiments",
    )
    commands = [shlex.split(line) for line in done.stdout.splitlines() if "python" in line]
    losses = [words[words.index("--loss_preset") + 1] for words in commands if str(TRAIN) in words]
    assert len(losses) == len(set(losses)) == 14
    assert {"mse", "si_snr", "lms", "pmsqe", "mse_lms", "si_snr_pmsqe", "sdr_pmsqe"} < set(losses)
    programs = [words[2] for words in commands if words[1] == "-m"]
    assert programs[-3:] == [
        "evaluation.noise_table",
        "evaluation.compare_figure",
        "evaluation.report",
    ]
    assert programs.count("evaluation.infer") == programs.count("evaluation.utt_eval") == 14


def test_the_readme_s_loss_of_one_s_own_works(tmp_path):
    text = (RECIPE / "README.md").read_text(encoding="utf-8")
    blocks = [block.split("```")[0] for block in text.split("```python\n")[1:]]
    code = next(block for block in blocks if "class EnvelopeLoss" in block)
    file = tmp_path / "my_losses.py"
    file.write_text(code, encoding="utf-8")
    loss = build_training_loss(options("--loss", f"si_snr+10*{file}:EnvelopeLoss").loss, 16000)
    assert isinstance(loss, SumLoss)
    assert loss.weights == {"si_snr": 1.0, "EnvelopeLoss": 10.0}
    import torch

    speech = torch.from_numpy(speech_like(0.5))[None]
    assert loss.losses["EnvelopeLoss"](0.5 * speech, speech) > 0


@pytest.mark.slow
@pytest.mark.timeout(1800)  # a dozen programs, on a busy machine
def test_the_comparison_runs_stops_and_goes_on(arrays, tmp_path):
    """Two losses, one of them one's own; the second start does only what is missing."""
    experiments = tmp_path / "experiments"
    own = tmp_path / "mine.py"
    own.write_text(
        "from asteroid.losses import SpeechLoss\n"
        "class Loudest(SpeechLoss):\n"
        "    def per_utterance(self, signals):\n"
        "        return (signals.estimate - signals.target).abs().amax(-1)\n",
        encoding="utf-8",
    )
    command = [RECIPE / "run_.sh", "--data", arrays, "--tag", "T", "--gpus", "0"]
    command += ["--losses", f"si_snr_lms {own}:Loudest", "--device", "cpu", "--jobs", "1"]
    short = ["--", *TINY.split(), "--epochs", "1", "--batch_size", "2"]
    environment = {"SELOSS_EXPERIMENTS": experiments}
    run(*command, "--stop_stage", "1", *short, **environment)
    done = run(*command, *short, **environment)
    assert "resuming" in done.stderr
    tags = sorted(path.name for path in experiments.iterdir())
    assert tags == ["T_comparison", "T_mine.py_Loudest", "T_si_snr_lms"]
    out = experiments / "T_comparison"
    for name in ("noise_table.md", "noise_table.csv", "compare.png", "report.html"):
        assert (out / name).stat().st_size > 0, name
    assert "| seen | -5 |" in done.stdout
    assert (experiments / "T_si_snr_lms" / "test" / "sample_0" / "estimate.wav").is_file()
    again = run(*command, "--stage", "2", **environment)
    assert "0 to enhance" in again.stderr + again.stdout
