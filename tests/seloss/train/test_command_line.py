from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest
import yaml

from seloss.cli.recipe import check_parts
from seloss.program import UsageError
from seloss.train import ConfigError, Recipe, parse_recipe, plain
from seloss.train.options.recipe import FREE_KEYS, PUBLISHED_FLAGS, options_of

NETWORK = '''
import torch  # what reads the options does not run this
from asteroid.models import BaseModel

SIZES = (3, 5)
raise RuntimeError("this file is read, not run")


class Net(BaseModel):
    """A network.

    Args:
        width: How wide,
            in channels.
        sample_rate: In Hz.
    """

    def __init__(self, kind, width: int = 4, sizes: tuple[int, ...] = SIZES, *,
                 mask: "str | None" = None, form: Literal["a", "b"] = "a",
                 sample_rate: float = 16000):
        pass


class Heir(Net):
    pass
'''


@pytest.fixture
def network(tmp_path):
    file = tmp_path / "net.py"
    file.write_text(NETWORK, encoding="utf-8")
    return file


def check_names(config):
    check_parts(dataclasses.replace(config, network=""))


@pytest.fixture
def parse(tmp_path, network):
    defaults = tmp_path / "conf.yml"
    defaults.write_text(f"network: {network}:Net\ntraining: {{epochs: 7}}\n", encoding="utf-8")

    def parse(line: str = "", *more: str, check=lambda config: None) -> Recipe:
        return parse_recipe(Recipe, [*line.split(), *more], defaults=defaults, check=check).config

    return parse


def test_defaults_then_files_then_flags(parse, tmp_path):
    other = tmp_path / "other.yml"
    other.write_text("training: {epochs: 8, batch_size: 3}\nnet: {width: 5}\n", encoding="utf-8")
    assert parse().training.epochs == 7
    assert parse().training.batch_size == Recipe().training.batch_size
    read = parse("--config", str(other), "--epochs", "9")
    assert (read.training.epochs, read.training.batch_size, read.net["width"]) == (9, 3, 5)
    assert parse(f"--config={other}").net["width"] == 5


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
    assert read.net == {"width": 6, "sizes": (3, 5), "form": "a", "mask": None}
    assert read.training.half_lr is False


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--sclae", "mel"], r"--sclae is unknown \(did you mean --scale\?\); the flags are --"),
        (["--net.widht", "3"], r"--net.widht is unknown \(did you mean --net.width\?\)"),
        (["--form", "c"], "net.form: must be one of a, b; got c"),
        (["--width", "wide"], "net.width: expected int; got wide"),
        (["--epochs", "many"], "training.epochs: expected int; got many"),
        (["--segment", "long"], "data.segment: expected float or null; got long"),
        (["--lr", "0"], "optim.lr must be positive; got 0"),
        (["--num_workers", "-1"], "training.num_workers must be at least 0; got -1"),
        (["--monitor", "val/stoi"], "must be one of val/loss, val/si_sdr; got 'val/stoi'"),
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
        ("net: {breadth: 3}", r"key net.breadth is unknown; the keys here are form, kind, mask, "),
        ("optimiser: {lr: 1}", r"key optimiser is unknown .*data, exp_dir, loss, net, network, op"),
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


def test_a_file_names_its_plugins(parse, tmp_path):
    (tmp_path / "mine.py").write_text("VALUE = 1\n", encoding="utf-8")
    for named in (f"{tmp_path}/mine.py", f"[{tmp_path}/mine.py]"):
        (tmp_path / "own.yml").write_text(f"plugin: {named}\n", encoding="utf-8")
        read = parse("--config", str(tmp_path / "own.yml"))
        assert read.plugin == (str(tmp_path / "mine.py"),)


def test_a_missing_file_is_named(parse):
    with pytest.raises(ConfigError, match=r"none\.yml: No such file"):
        parse("--config", "none.yml")


def test_a_written_configuration_is_read_back_the_same(parse, tmp_path):
    read = parse("--scale linear --n_bins null --metrics si_sdr,stoi --segment 1.5")
    assert read.training.metrics == ("si_sdr", "stoi")
    file = tmp_path / "written.yml"
    file.write_text(yaml.safe_dump(plain(read)), encoding="utf-8")
    assert parse("--config", str(file)) == read


def test_help_names_every_option(parse, network, capsys):
    with pytest.raises(SystemExit) as left:
        parse("--help")
    assert left.value.code == 0
    text = capsys.readouterr().out
    names = [option.name for option in options_of(Recipe, f"{network}:Net")]
    assert not [name for name in names if f"--{name}" not in text]
    assert "How wide, in channels. (int; default: 4)" in " ".join(text.split())
    assert "sample_rate" not in [name.removeprefix("net.") for name in names]


def test_free_keys_and_published_flags_are_options():
    names = {option.name for option in options_of(Recipe, "")}
    assert names >= FREE_KEYS
    assert names >= set(PUBLISHED_FLAGS.values())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--scale bark", "scale must be one of linear, mel, critical; got 'bark'"),
        ("--loss xp1 --scale bark", "scale must be one of linear, mel, critical; got 'bark'"),
        ("--loss xp1 --weights_type loud", "weights_type must be one of wo, .*; got 'loud'"),
        (
            "--loss si_snrr",
            r"loss must be one of neg_sisdr, .*; got 'si_snrr' \(did you mean si_snr",
        ),
        ("--weights_type sofmax", r"one of wo, .*; got 'sofmax' \(did you mean softmax\?\)"),
        ("--metrics si_sdr,stio", r"metric must be one of .*; got 'stio' \(did you mean stoi\?\)"),
        ("--metrics si_sdr,mbstoi", "mbstoi is for two ears"),
        ("--metrics si_sdr,pesq_wb --sample_rate 8000", "pesq_wb is for 16000 Hz; got 8000"),
        ("--scale critical --n_bins 20", "takes n_bins of 18, 21, 25; got 20"),
        ("--n_bins 0", "the mel scale takes n_bins from 1"),
    ],
)
def test_values_are_those_of_the_registries(parse, line, message):
    with pytest.raises(ConfigError, match=message):
        parse(line, check=check_names)


@pytest.mark.parametrize("name", ["None", "perceptual-published", "wo"])
def test_published_names_of_weightings_are_taken(parse, name):
    line = f"--scale critical --n_bins 21 --weights_type {name}"
    assert parse(line, check=check_names).loss.weights_type == name


def test_metrics_of_one_microphone_are_all_there(parse):
    from auditus import METRICS

    names = [name for name in METRICS.names() if METRICS.get(name).channels == 1]
    assert len(names) >= 26
    read = parse("--metrics", ",".join(names), "--monitor", "val/csig", check=check_names)
    assert read.training.metrics == tuple(names)


def test_another_network_has_other_options(parse, network, tmp_path):
    other = tmp_path / "other.py"
    other.write_text(NETWORK.replace("width", "depth"), encoding="utf-8")
    conf = tmp_path / "own.yml"
    conf.write_text("net: {width: 9}\n", encoding="utf-8")
    read = parse(f"--config {conf} --network {other}:Net --depth 2")
    assert (read.network, read.net["depth"]) == (f"{other}:Net", 2)
    assert "width" not in read.net
    for wrong, message in [
        (f"{other}:Nte", "defines no Nte; it has Net, Heir"),
        ("nowhere.py:Net", "nowhere.py: No such file"),
        ("nowhere.at.all:Net", "no package nowhere"),
        (f"{other}:Heir", "this file is read, not run"),  # an inherited constructor needs importing
        ("FasNetTACC", "network"),
    ]:
        with pytest.raises(UsageError, match=message):
            parse(f"--network {wrong}")


def test_the_options_of_a_class_that_inherits_its_constructor(parse, network):
    network.write_text(
        NETWORK.replace('raise RuntimeError("this file is read, not run")', "from typing import *"),
        encoding="utf-8",
    )
    assert parse(f"--network {network}:Heir").net["width"] == 4
    assert parse("--network FasNetTAC").net["enc_dim"] == 64


def test_a_flag_of_two_options_needs_its_whole_name(parse):
    with pytest.raises(ConfigError, match=r"--hop_length may be --loss.hop_length or --net.hop_le"):
        parse("--network asteroid.models.dccrn:DCCRN --hop_length 3")


@pytest.mark.parametrize(
    ("recipe", "words", "message"),
    [
        ("TAC", ["--lrr", "1"], "did you mean --lr?"),
        ("TAC", ["--norm_type", "LN"], "net.norm_type: must be one of gLN, cLN, fgLN, bN; got LN"),
        ("DCCRN", ["--masking", "T"], "net.masking: must be one of E, C, R; got T"),
        ("DCUNet", ["--form", "cRM"], "net.form: must be one of cRMCn, cRMRn, RMRn; got cRM"),
    ],
)
def test_nothing_heavy_is_imported_for_the_command_line(recipe, words, message):
    code = (
        "import sys; from pathlib import Path; from seloss.cli.recipe import train_recipe\n"
        f"try: train_recipe({words}, Path('egs/{recipe}/conf.yml'), '')\n"
        "except ValueError as error: print(error)\n"
        "print([m for m in ('torch', 'numpy', 'pytorch_lightning') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert message in done.stdout
    assert done.stdout.endswith("[]\n")


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
