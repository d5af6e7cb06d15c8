"""The DCUNet recipe: the paper's options, and none of the public re-implementation's mistakes."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pesq
import pytest
import torch

from asteroid.losses import build_training_loss
from auditus.metrics import get_metrics
from seloss.data.formats.manifest import read_manifest
from seloss.data.load.loader import build_loader
from seloss.data.load.mixture_dataset import MixtureDataset
from seloss.train import Recipe, parse_recipe
from tests.data import SAMPLE_RATE, make_manifest, make_mixture
from tests.programs import ROOT, run

TRAIN = ROOT / "egs" / "DCUNet" / "train.py"
TINY = [
    *("--architecture", "DCUnet-10", "--width", "0.05", "--net.n_fft", "256"),
    *("--net.hop_length", "64", "--segment", "0.3", "--num_workers", "0", "--batch_size", "2"),
    *("--listen", "0", "--metrics", "si_sdr"),
]


def options(*argv: str) -> Recipe:
    return parse_recipe(Recipe, argv, defaults=TRAIN.parent / "conf.yml").config


def train(folder: Path, *arguments: object, status: int = 0) -> str:
    return run(TRAIN, "--exp_dir", folder, *TINY, *arguments, status=status).stderr


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> list[str]:
    folder = tmp_path_factory.mktemp("data")
    train_json = make_manifest(folder / "train", n_items=5, n_mics=1, seconds=[0.5, 0.4])
    valid_json = make_manifest(folder / "valid", n_items=2, n_mics=1, seconds=0.5, seed=9)
    return ["--train_json", str(train_json), "--valid_json", str(valid_json)]


def test_the_small_configuration_is_valid():
    assert options("--config", str(TRAIN.with_name("conf_small.yml"))).net["width"] < 1


@pytest.mark.parametrize(
    ("argv", "parameters"),
    [
        (["--architecture", "DCUnet-10"], 1_421_890),
        (["--architecture", "DCUnet-16"], 2_375_490),
        ([], 3_527_850),
        (["--architecture", "Large-DCUnet-20"], 7_662_304),
    ],
)
def test_every_depth_of_the_paper(argv, parameters):
    network = options(*argv).build_network()
    assert sum(p.numel() for p in network.parameters()) == parameters


@pytest.mark.parametrize("loss", ["weighted_sdr", "mse", "mse_spectrum", "sdr"])
@pytest.mark.parametrize("mask", ["tanh", "sigmoid", "unbounded"])
def test_every_mask_trains_with_every_loss(mask, loss):
    small = ["--architecture", "DCUnet-10", "--width", "0.05", "--mask", mask, "--loss", loss]
    config = options(*small)
    network = config.build_network()
    criterion = build_training_loss(config.loss, SAMPLE_RATE)
    signals = [torch.from_numpy(part) for part in make_mixture(0.5, n_mics=1)]
    mixture, sources = signals[0][None], torch.cat(signals[1:])[None]
    value = criterion(network(mixture), sources, torch.tensor([mixture.shape[-1]])).mean()
    value.backward()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert all(torch.isfinite(g).all() for g in gradients)
    assert sum(float(g.abs().sum()) for g in gradients) > 0


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--mask", "polar"], "mask"),
        (["--form", "RMRn", "--mask", "tanh"], "mask"),
        (["--architecture", "DCUnet-12"], "architecture"),
        (["--metrics", "pesq"], "metric must be one of"),
        (["--loss", "wsdr"], "loss must be one of"),
    ],
)
def test_wrong_options_are_refused_by_name(arguments, what, data, tmp_path):
    told = train(tmp_path / "e", *data, *arguments, status=2)
    assert what in told
    assert told.count("\n") == 1


def test_false_on_the_command_line_is_false():
    assert options("--half_lr", "False").training.half_lr is False
    assert options("--early_stop", "false").training.early_stop is False


def test_pesq_is_the_wide_band_one_and_says_so():
    """Raw narrow-band figures of P.862 were once reported as PESQ: 0.8 higher on one enhancer."""
    mixture, speech, _ = (part[0] for part in make_mixture(2.0, n_mics=1, snr_db=5.0))
    (metric,) = get_metrics(["pesq_wb"])
    score = float(metric.bind(16000)(*(torch.from_numpy(x)[None] for x in (mixture, speech))))
    assert score == pytest.approx(pesq.pesq(16000, speech, mixture, "wb"), abs=1e-3)
    assert abs(score - pesq.pesq(16000, speech, mixture, "nb")) > 0.1


def test_the_window_of_the_network_is_hann_and_a_tone_does_not_leak():
    """The published figures were of networks trained with a rectangular window."""
    network = options("--width", "0.05").build_network()
    tone = torch.sin(2 * torch.pi * 100.5 / 1024 * torch.arange(16384.0))[None]
    spectrum = network.stft(tone)  # (batch, real and imaginary part, freq, frames)
    power = spectrum.square().sum(1)[0, :, 20]
    level = 10 * torch.log10(power / power.max())
    assert level[141:].max() < -70


@pytest.fixture(scope="module")
def twice(data, tmp_path_factory) -> Path:
    """Two epochs without a break."""
    folder = tmp_path_factory.mktemp("twice") / "e"
    train(folder, *data, "--epochs", 2)
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    path = folder / "checkpoints" / "last.ckpt"
    return torch.load(path, weights_only=True)["state_dict"]


def test_a_resumed_run_really_trains_and_ends_as_one_without_a_break(twice, data, tmp_path):
    """After a resume the re-implementation's optimiser moved the weights of a discarded network."""
    folder = tmp_path / "e"
    train(folder, *data, "--epochs", 1)
    before = weights(folder)
    assert "resuming" in train(folder, *data, "--epochs", 2)
    after, expected = weights(folder), weights(twice)
    moved = [name for name, value in after.items() if not torch.equal(value, before[name])]
    assert len(moved) == len(after)
    assert all(torch.equal(value, after[name]) for name, value in expected.items())
    with (folder / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert {"val/wsdr", "val/si_sdr", "val/loss"} <= rows[0].keys()
    with (folder / "curves.csv").open(newline="") as file:
        batches = [(row["epoch"], row["batch"]) for row in csv.DictReader(file)]
    assert batches == [("0", "0"), ("0", "1"), ("0", "2"), ("1", "0"), ("1", "1"), ("1", "2")]
    assert (folder / "curves.png").stat().st_size > 5000


def test_the_validation_metric_is_the_weighted_sdr(twice):
    with (twice / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        assert float(row["val/wsdr"]) == pytest.approx(float(row["val/loss"]), abs=1e-5)
        assert -1 <= float(row["val/wsdr"]) <= 1


def test_validation_hears_the_same_whole_utterances_in_every_epoch(tmp_path):
    """Random noises and ratios at each validation cannot be compared; a last batch was dropped."""
    manifest = read_manifest(make_manifest(tmp_path, n_items=3, n_mics=1, seconds=[0.4, 0.6]))
    loader = build_loader(MixtureDataset(manifest, sample_rate=SAMPLE_RATE), 2, shuffle=False)
    first, second = ([batch.mixture for batch in loader] for _ in range(2))
    assert sum(len(batch) for batch in first) == 3
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert first[0].shape[-1] == round(0.6 * SAMPLE_RATE)


@pytest.mark.slow
@pytest.mark.timeout(1800)  # a dozen programs, on a busy machine
def test_training_on_lists_mixed_on_the_fly_and_the_comparison(tmp_path):
    from seloss.data.corpus.listing import read_folder
    from seloss.data.load.source_lists import write_source_lists
    from tests.seloss.data.corpus import make_noise, make_speech

    speech = read_folder(make_speech(tmp_path / "s", ["p1", "p2"]), "speech")
    noise = read_folder(make_noise(tmp_path / "n", ["a", "b"]), "noise")
    lists = tmp_path / "train.json"
    write_source_lists(lists, speech, noise, sample_rate=SAMPLE_RATE, snr_db=[0, 5])
    manifest = make_manifest(tmp_path / "v", n_items=2, n_mics=1, seconds=1.0)
    variables = {
        "SELOSS_EXPERIMENTS": tmp_path / "experiments",
        "SELOSS_TRAIN_JSON": lists,
        "SELOSS_VALID_JSON": manifest,
        "SELOSS_TEST_JSON": manifest,
    }
    compare = [ROOT / "egs" / "DCUNet" / "compare.sh", "--depths", "DCUnet-10"]
    compare += ["--masks", "tanh,sigmoid", "--losses", "weighted_sdr", "--gpus", 0, "--walltime", 1]
    compare += ["--metrics", "si_sdr pesq_wb", "--", *TINY[2:], "--epochs", 1]
    run(*compare, **variables)
    with (tmp_path / "experiments" / "dcunet" / "table.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert [row[0] for row in rows[1:]] == [
        "unprocessed mixture",
        "dcunet_DCUnet-10_tanh_weighted_sdr_cRMCn",
        "dcunet_DCUnet-10_sigmoid_weighted_sdr_cRMCn",
    ]
    assert np.isfinite(float(rows[2][rows[0].index("SI-SDR (dB)")]))


def test_the_comparison_lists_every_network_before_it_trains(tmp_path):
    manifest = make_manifest(tmp_path / "v", n_items=1, n_mics=1, seconds=0.3)
    files = {f"SELOSS_{part}_JSON": manifest for part in ("TRAIN", "VALID", "TEST")}
    done = run(
        *(ROOT / "egs" / "DCUNet" / "compare.sh", "--dry-run"),
        *("--forms", "cRMCn cRMRn RMRn", "--walltime", "1", "--gpus", "0"),
        SELOSS_EXPERIMENTS=tmp_path,
        **files,
    )
    assert "comparing 84 networks" in done.stderr  # 3 depths x 4 losses x (3 + 3 masks, 1 for RMRn)
    assert done.stdout.count("train.py") == 84


@pytest.mark.parametrize(
    ("script", "arguments", "what"),
    [
        ("scripts/train/train_dcunet.sh", ["TAG"], "the following arguments are required: NETWORK"),
        ("scripts/evaluate/evaluate_dcunet.sh", ["9", "TAG"], "STAGE must be 1 to 4"),
        ("scripts/evaluate/evaluate_dcunet.sh", ["1"], "arguments are required: EXPERIMENT_TAG"),
        ("egs/DCUNet/compare.sh", ["--depth", "x"], "unknown argument --depth"),
        ("egs/DCUNet/run_.sh", ["--stage", "7"], "stages are 0 to 3; got '7' and '3'"),
    ],
)
def test_launchers_refuse_wrong_usage(script, arguments, what):
    assert what in run(ROOT / script, *arguments, status=2).stderr
    assert "usage:" in run(ROOT / script, "--help").stdout.lower()
