from __future__ import annotations

import pytest
import yaml

from asteroid.losses import LOSSES, SumLoss, build_training_loss
from seloss.cli.recipe import check_parts
from seloss.train import ConfigError, parse_recipe, plain
from seloss.train.options.loss import PRESETS, loss_from_preset
from seloss.train.options.recipe import LossConfig, Recipe

PRESET_NAMES = list(yaml.safe_load(PRESETS.read_text(encoding="utf-8")))
OWN = """
from asteroid.losses import SpeechLoss


class Loudest(SpeechLoss):
    def per_utterance(self, signals):
        return (signals.estimate - signals.target).abs().amax(-1)
"""


@pytest.fixture
def parse(tmp_path):
    defaults = tmp_path / "conf.yml"
    defaults.write_text("training:\n  epochs: 7\n", encoding="utf-8")

    def parse(*argv: str, base: str | None = None) -> Recipe:
        if base is not None:
            defaults.write_text(base, encoding="utf-8")
        return parse_recipe(Recipe, list(argv), defaults=defaults, check=check_parts).config

    return parse


def names_and_weights(config: LossConfig) -> list[tuple[str, float]]:
    return [(part["name"], part["weight"]) for part in config.terms()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("si_snr+0.5*lms", [("si_snr", 1.0), ("lms", 0.5)]),
        ("2*si_snr + .25*pmsqe+mse", [("si_snr", 2.0), ("pmsqe", 0.25), ("mse", 1.0)]),
        ("1e+3*mse+lms", [("mse", 1000.0), ("lms", 1.0)]),
        ("0*sdr+lms", [("sdr", 0.0), ("lms", 1.0)]),
        ("2*lms", [("lms", 2.0)]),
        ('[{"name": "mse", "weight": 3}, {"name": "lms"}]', [("mse", 3.0), ("lms", 1.0)]),
    ],
)
def test_a_sum_on_the_command_line(parse, text, expected):
    assert names_and_weights(parse("--loss", text).loss) == expected
    assert names_and_weights(parse(f"--loss={text}").loss) == expected


def test_a_list_in_a_file_and_its_options(parse, tmp_path):
    file = tmp_path / "sum.yml"
    file.write_text(
        "loss:\n- {name: si_snr, weight: 1}\n- {name: lms, weight: 1e1, n_mels: [8, 16]}\n",
        encoding="utf-8",
    )
    for argv in (["--config", str(file)], ["--loss", str(file)]):
        read = parse(*argv).loss
        assert names_and_weights(read) == [("si_snr", 1.0), ("lms", 10.0)]
        assert build_training_loss(read, 16000).losses["lms"].n_mels == (8, 16)
    file.write_text("- {name: mse}\n- {name: lms}\n", encoding="utf-8")
    assert names_and_weights(parse("--loss", str(file)).loss) == [("mse", 1.0), ("lms", 1.0)]


def test_the_last_word_on_the_loss_wins(parse, tmp_path):
    sum_first = "loss:\n- {name: si_snr}\n- {name: lms}\n"
    assert names_and_weights(parse(base=sum_first).loss) == [("si_snr", 1.0), ("lms", 1.0)]
    assert names_and_weights(parse("--loss", "xp1", base=sum_first).loss) == [("xp1", 1.0)]
    by_name = tmp_path / "one.yml"
    by_name.write_text("loss: {name: pmsqe}\n", encoding="utf-8")
    assert names_and_weights(parse("--config", str(by_name)).loss) == [("pmsqe", 1.0)]
    read = parse("--loss_preset", "si_snr_lms", "--config", str(by_name))
    assert [name for name, _ in names_and_weights(read.loss)] == ["si_snr", "lms"]


def test_the_flags_of_bands_count_for_the_weighted_part_of_a_sum(parse):
    argv = ["--scale", "critical", "--n_bins", "21", "--weights_type", "softmax_log"]
    weighted, mel = parse("--loss", "neg_sisdr+2*lms", *argv).loss.terms()
    assert (weighted["scale"], weighted["n_bins"]) == ("critical", 21)
    assert "scale" not in mel
    given = '[{"name": "neg_sisdr", "scale": "linear"}, {"name": "mse"}]'
    assert parse("--loss", given, *argv).loss.terms()[0]["scale"] == "linear"


def test_one_loss_is_built_as_before_and_a_sum_as_a_sum(parse):
    one = build_training_loss(parse("--loss", "neg_sisdr", "--scale", "linear").loss, 8000)
    assert type(one) is LOSSES.get("neg_sisdr")
    assert one.reduction == "none"
    both = build_training_loss(parse("--loss", "neg_sisdr+pmsqe").loss, 8000)
    assert isinstance(both, SumLoss)
    assert both.losses["pmsqe"].n_fft == 256  # that of 8 kHz


def test_a_sum_is_written_and_read_back_the_same(parse, tmp_path):
    read = parse(
        "--loss", '[{"name": "neg_sisdr", "n_bins": 25, "scale": "critical"}, {"name":"mse"}]'
    )
    file = tmp_path / "written.yml"
    file.write_text(yaml.safe_dump(plain(read)), encoding="utf-8")
    assert parse("--config", str(file)) == read


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (
            ["--loss", "si_snr+lsm"],
            r"loss must be one of .*; got 'lsm' \(did you mean lms",
        ),
        (["--loss", "si_snr+*lms"], "a sum such as si_snr.0.5.lms, or a JSON list; got si_snr"),
        (["--loss", "[{]"], "not a JSON list of losses"),
        (["--loss", "[3]"], "parts: expected dict; got"),
        (["--loss", '[{"weight": 3}]'], r"loss.parts\[0\] must hold the name of a loss"),
        (
            ["--loss", '[{"name": "lms", "n_mel": [3]}]'],
            "'lms' has no argument n_mel .did you mean n_mels..; it has n_mels",
        ),
        (["--loss", '[{"name": "mse", "a": 1}]'], "'mse' has no argument a; it has reduction"),
        (
            ["--loss", '[{"name": "lms", "weight": -1}]'],
            r"weight must be a number, 0 or more; got -1",
        ),
        (["--loss", '[{"name": "lms", "weight": "much"}]'], "0 or more; got 'much'"),
        (["--loss", '[{"name": "lms", "weight": true}]'], "0 or more; got True"),
        (
            ["--loss", '[{"name": "neg_sisdr", "scale": "bark"}]'],
            "scale must be one of linear, mel, critical; got 'bark'",
        ),
        (
            ["--loss", '[{"name": "neg_sisdr", "scale": "critical", "n_bins": 20}]'],
            "takes n_bins of 18, 21, 25; got 20",
        ),
        (["--loss", "0*mse+0*lms"], "at least one weight must be above 0"),
        (["--loss", "mse+lms", "--balance", "true", "--balance_by", "x"], "one of range, gradient"),
        (["--loss", "mse", "--balance", "true"], "balance needs a sum of at least two"),
        (["--loss", "mse+0*lms", "--balance", "true"], "balance needs a sum of at least two"),
        (["--loss", "nowhere.py:Mine"], "no file nowhere.py"),
        (["--loss", "no.yml"], r"no\.yml: No such file"),
        (["--loss"], "--loss: expected one argument"),
        (["--loss", "--overwrite"], "--loss: expected one argument"),
        (["--loss_preset", "best"], "--loss_preset must be one of .*si_snr_lms.*; got best"),
    ],
)
def test_a_wrong_loss_is_refused_with_what_is_right(parse, argv, message):
    with pytest.raises(ConfigError, match=message):
        parse(*argv)


def test_a_loss_of_ones_own_takes_a_few_lines(parse, tmp_path):
    file = tmp_path / "my_losses.py"
    file.write_text(OWN, encoding="utf-8")
    alone = build_training_loss(parse("--loss", f"{file}:Loudest").loss, 16000)
    assert type(alone).__name__ == "Loudest"
    both = build_training_loss(parse("--loss", f"si_snr+3*{file}:Loudest").loss, 16000)
    assert both.weights == {"si_snr": 1.0, "Loudest": 3.0}
    with pytest.raises(ConfigError, match="defines no torch module Quietest"):
        parse("--loss", f"{file}:Quietest")
    file.write_text("def broken(:", encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot be imported: SyntaxError"):
        parse("--loss", f"{file}:Loudest")


@pytest.mark.filterwarnings("ignore::UserWarning")  # 25 bands end at 3.8 kHz
@pytest.mark.parametrize("name", PRESET_NAMES)
def test_every_preset_is_read_and_built(parse, name):
    read = parse("--loss_preset", name)
    assert build_training_loss(read.loss, 16000) is not None


def test_the_presets_are_the_published_sums():
    expected = {"si_snr_lms": (1 / 3, 2 / 3), "si_snr_pmsqe": (1 / 9, 8 / 9)}
    expected |= {"sdr_lms": (1 / 3, 2 / 3), "sdr_pmsqe": (1 / 16, 15 / 16)}
    expected |= {"mse_lms": (1000 / 1001, 1 / 1001), "mse_si_snr": (100 / 101, 1 / 101)}
    for name, weights in expected.items():
        parts = loss_from_preset(name)["parts"]
        assert [part["weight"] for part in parts] == pytest.approx(list(weights)), name
        assert sorted(name.replace("si_snr", "si-snr").split("_")) == sorted(
            part["name"].replace("_", "-") for part in parts
        )
