from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import get_args

import pytest
import yaml

from seloss.train import ConfigError, parse_recipe, plain
from seloss.train.options import loss as loss_config
from seloss.train.options import parser as command_line
from seloss.train.options import recipe as config_module
from seloss.train.options import training as training_config
from seloss.train.options.recipe import FREE_KEYS, Recipe, option_names


@dataclasses.dataclass(frozen=True)
class Net:
    """Network.

    Attributes:
        width: How wide.
    """

    width: int = 4


@dataclasses.dataclass(frozen=True)
class Example(Recipe):
    """Experiment.

    Attributes:
        net: Network.
    """

    net: Net = dataclasses.field(default_factory=Net)


@pytest.fixture
def parse(tmp_path):
    defaults = tmp_path / "conf.yml"
    defaults.write_text("training:\n  epochs: 7\n", encoding="utf-8")

    def parse(line: str = "", *more: str) -> Example:
        return parse_recipe(
            Example, [*line.split(), *more], prog="train.py", description="", defaults=defaults
        ).config

    return parse


def test_defaults_then_files_then_flags(parse, tmp_path):
    other = tmp_path / "other.yml"
    other.write_text("training: {epochs: 8, batch_size: 3}\nnet: {width: 5}\n", encoding="utf-8")
    assert parse().training.epochs == 7
    assert parse().training.batch_size == Example().training.batch_size
    read = parse("--config", str(other), "--epochs", "9")
    assert (read.training.epochs, read.training.batch_size, read.net.width) == (9, 3, 5)
    assert parse(f"--config={other}").net.width == 5


def test_published_and_short_flags_set_the_options_they_name(parse):
    read = parse(
        "--exp_dir e --loss neg_sisdr --scale critical --n_fft 512 --hop_length=128 "
        "--n_bins 21 --weights_type sigmoid_log --sample_rate 8000 --dev_json v.json "
        "--lr 1e-4 --weight_decay 0 --segment null --net.width 6 --half_lr false"
    )
    loss = read.loss
    assert read.exp_dir == "e"
    assert (loss.name, loss.scale, loss.n_fft, loss.hop_length) == (
        "neg_sisdr",
        "critical",
        512,
        128,
    )
    assert (loss.n_bins, loss.weights_type) == (21, "sigmoid_log")
    assert (read.data.sample_rate, read.data.valid_json) == (8000, "v.json")
    assert (read.optim.lr, read.optim.weight_decay, read.data.segment) == (1e-4, 0.0, None)
    assert read.net.width == 6
    assert read.training.half_lr is False


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--sclae", "mel"], r"--sclae is unknown \(did you mean --scale\?\); the flags are --"),
        (["--scale", "bark"], "loss.scale: must be one of linear, mel, critical; got bark"),
        (["--loss", "sisdr"], r"must be one of neg_sisdr, .*; got sisdr \(did you mean"),
        (["--weights_type", "x"], "loss.weights_type: must be one of wo, .*; got x"),
        (["--epochs", "many"], "training.epochs: expected int; got many"),
        (["--segment", "long"], "data.segment: expected float or null; got long"),
        (["--lr", "0"], "optim.lr must be positive; got 0"),
        (["--num_workers", "-1"], "training.num_workers must be at least 0; got -1"),
        (["--metrics", "si_sdr,x"], "training.metrics: must be one of si_sdr, .*; got x"),
        (["--monitor", "val/stoi"], "must be one of val/loss, val/si_sdr; got 'val/stoi'"),
        (["--scale", "critical", "--n_bins", "20"], "must be one of 18, 21, 25 .*; got 20"),
        (["--n_bins", "-1"], "n_bins must be positive on the mel scale; got -1"),
        (["stray"], "unrecognized arguments: stray"),
        (["--epochs"], "expected one argument"),
    ],
)
def test_wrong_usage_is_refused_with_the_valid_choices(parse, argv, message):
    with pytest.raises(ConfigError, match=message):
        parse("", *argv)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("net: {breadth: 3}", r"key net.breadth is unknown; the keys here are width"),
        ("optimiser: {lr: 1}", r"key optimiser is unknown .*data, exp_dir, loss, net, optim, tr"),
        ("net: 3", "net must hold options; got 3"),
        ("- 1", "must hold options as 'key: value'; got list"),
        ("a: [", "is not YAML"),
        ("net: {width: wide}", "net.width: expected int; got wide"),
    ],
)
def test_a_wrong_file_is_refused_by_key(parse, tmp_path, text, message):
    file = tmp_path / "wrong.yml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        parse("--config", str(file))


def test_a_missing_file_is_named(parse):
    with pytest.raises(ConfigError, match=r"none\.yml: No such file"):
        parse("--config", "none.yml")


def test_a_written_configuration_is_read_back_the_same(parse, tmp_path):
    read = parse("--scale linear --n_bins null --metrics si_sdr,stoi --segment 1.5")
    assert read.training.metrics == ("si_sdr", "stoi")
    file = tmp_path / "written.yml"
    file.write_text(yaml.safe_dump(plain(read)), encoding="utf-8")
    assert parse("--config", str(file)) == read


def test_help_names_every_option(parse, capsys):
    with pytest.raises(SystemExit) as left:
        parse("--help")
    assert left.value.code == 0
    text = capsys.readouterr().out
    missing = [name for name in option_names(Example) if f"--{name}" not in text]
    assert not missing
    assert "How wide." in text


def test_free_keys_are_options():
    assert set(option_names(Example)) >= FREE_KEYS
    assert set(option_names(Example)) >= set(config_module.PUBLISHED_FLAGS.values())


def test_the_choices_are_those_of_the_registries():
    """The tables in config.py exist so that a wrong name is refused without importing torch."""
    from asteroid.dsp import bands
    from asteroid.losses.weightings import WEIGHTINGS
    from auditus.metrics import METRICS

    aliases = {"None", "perceptual-published"}
    assert set(get_args(loss_config.Weighting)) - aliases == set(WEIGHTINGS.names())
    assert set(get_args(loss_config.Scale)) == set(bands.SCALES.names())
    assert set(get_args(training_config.MetricName)) <= set(METRICS.names())


def test_nothing_heavy_is_imported_for_the_command_line():
    import subprocess

    code = (
        "import sys; import seloss.train as e; e.parse_recipe; e.open_experiment;"
        "print([m for m in ('torch', 'numpy', 'pytorch_lightning') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert Path(command_line.__file__).is_file()


def test_speed_flags(parse, tmp_path):
    read = parse("--compile --precision 32 --profile --kernel foreach --bucket_steps 8")
    assert (read.training.compile, read.training.profile) == (True, True)
    assert (read.training.precision, read.optim.kernel, read.data.bucket_steps) == (
        "32",
        "foreach",
        8,
    )
    assert parse("--compile false --profile").training.compile is False
    assert parse("--precision bf16 --recompute encoder,decoders").training.recompute == (
        "encoder",
        "decoders",
    )
    file = tmp_path / "speed.yml"
    file.write_text("training: {precision: 32, recompute: [auto]}\n", encoding="utf-8")
    read = parse("--config", str(file))
    assert (read.training.precision, read.training.recompute) == ("32", ("auto",))
    assert parse("--precision bf16").training.precision == "bf16-mixed"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--precision 64", "must be one of auto, 32, bf16-mixed, 16-mixed, fp32, bf16; got 64"),
        ("--precision 16-mixed --gpus 0", r"needs a GPU, and training.gpus is 0; .* bf16-mixed"),
        ("--compile maybe", "training.compile: expected bool; got maybe"),
        ("--compile --recompute auto", "exclude each other"),
        ("--kernel quick", "optim.kernel: must be one of auto, fused, foreach, plain; got quick"),
        ("--kernel fused --optimizer radam", "radam has none; choose auto, foreach or plain"),
        ("--bucket_steps -1", "data.bucket_steps must be 0 or more; got -1"),
    ],
)
def test_wrong_speed_flags(parse, line, message):
    with pytest.raises(ConfigError, match=message):
        parse(line)
