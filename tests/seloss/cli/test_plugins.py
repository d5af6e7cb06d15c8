"""Parts of one's own by name: a weighting to the letter of docs/losses.md, a metric, a network."""

import re

import pytest
import torch

from seloss.program import UsageError, load_plugin, loaded_plugins, run_command
from tests.data import make_manifest
from tests.programs import ROOT, run

TRAIN = ROOT / "egs" / "TAC" / "train.py"
SHORT = ["--epochs", "1", "--segment", "0.3", "--batch_size", "2", "--num_workers", "0"]
SHORT += ["--listen", "0", "--loggers", "[]"]

METRIC = """
from auditus import METRICS
from auditus.metric import Scores, metric



@METRICS.register("peak")
@metric("peak", "Peak", unit="", higher_is_better=False, needs=("estimate",), source="ours")
def peak(rows):
    return Scores.of(rows.estimate.abs().amax(-1))
"""
NETWORK = """
import torch
from asteroid.models import BaseModel, register_model


class Gain(BaseModel):
    '''One gain for everything.

    Args:
        start: The gain before training.
        sample_rate: In Hz.
    '''

    def __init__(self, start: float = 0.5, sample_rate: float = 16000):
        super().__init__(sample_rate=sample_rate, in_channels=None)
        self.start, self.gain = start, torch.nn.Parameter(torch.tensor(start))

    def forward(self, mixture, valid_mics=None):
        return self.gain * mixture[:, :1]

    def get_model_args(self):
        return {"start": self.start, "sample_rate": self.sample_rate}


register_model(Gain)
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> list[str]:
    folder = tmp_path_factory.mktemp("data")
    manifests = {
        "train": make_manifest(folder / "train", n_items=2, n_mics=2, seconds=0.5),
        "valid": make_manifest(folder / "valid", n_items=1, n_mics=2, seconds=0.5, seed=9),
    }
    return [word for name, path in manifests.items() for word in (f"--{name}_json", str(path))]


def train(*arguments: object, status: int = 0) -> str:
    return run(TRAIN, *arguments, status=status).stderr


def test_the_weighting_of_docs_losses_trains(data, tmp_path):
    page = (ROOT / "docs" / "losses.md").read_text(encoding="utf-8")
    code = next(
        block
        for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL)
        if '@WEIGHTINGS.register("loud_bands")' in block
    )
    command = next(line for line in page.splitlines() if "--weights_type loud_bands" in line)
    file = tmp_path / "loud_bands.py"
    file.write_text(code, encoding="utf-8")
    command = command.replace(" loud_bands.py", f" {file}").replace("egs/", f"{ROOT}/egs/")
    experiment = tmp_path / "own"
    train("--exp_dir", experiment, *data, *command.split()[2:], *SHORT)
    conf = (experiment / "conf.yml").read_text(encoding="utf-8")
    assert "weights_type: loud_bands" in conf
    # The run's own conf.yml repeats it, and names the plugin.
    again = train("--exp_dir", tmp_path / "again", "--config", experiment / "conf.yml")
    weights = [
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for folder in (experiment, tmp_path / "again")
    ]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items()), again


def test_a_metric_and_a_network_of_ones_own_train_and_are_evaluated(data, tmp_path):
    metric, network = tmp_path / "my_metric.py", tmp_path / "my_net.py"
    metric.write_text(METRIC, encoding="utf-8")
    network.write_text(NETWORK, encoding="utf-8")
    experiment = tmp_path / "experiments" / "OWN"
    train(
        *("--exp_dir", experiment, "--network", f"{network}:Gain", "--start", "0.25"),
        *("--plugin", metric, "--metrics", "peak,si_sdr", "--monitor", "val/peak", "--loss", "xp1"),
        *data,
        *SHORT,
    )
    best = torch.load(experiment / "best_model.pth", weights_only=True)
    assert best["model_args"]["start"] == 0.25
    header, first = (experiment / "history.csv").read_text(encoding="utf-8").splitlines()
    assert "val/peak" in header
    assert float(dict(zip(header.split(","), first.split(","), strict=True))["val/peak"]) > 0
    manifest, common = data[3], ["--experiment_tag", "OWN", "--root", experiment.parent]
    for program, plugin, more in (
        ("infer", network, ["--manifest", manifest, "--testset", "t"]),
        ("utt_eval", metric, ["--metrics", "peak", "--jobs", "2"]),
    ):
        done = run("-m", f"evaluation.{program}", *common, "--plugin", plugin, *more)
    assert "Peak" in done.stdout or "peak" in done.stdout


def test_a_file_is_imported_once_and_by_its_path(tmp_path):
    for folder, value in (("a", 1), ("b", 2)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "part.py").write_text(f"VALUE = {value}\n", encoding="utf-8")
    first, other = (load_plugin(tmp_path / folder / "part.py") for folder in "ab")
    assert (first.VALUE, other.VALUE) == (1, 2)
    assert load_plugin(str(tmp_path / "a" / "part.py")) is first
    assert str(tmp_path / "a" / "part.py") in loaded_plugins()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "mine.py: no such Python file"),
        ("x = y\n", "mine.py cannot be imported: NameError: name 'y' is not defined"),
        ("def broken(:\n", "mine.py cannot be imported: SyntaxError"),
        (
            "from auditus import METRICS\nMETRICS.register('si_sdr')\n",
            "'si_sdr' is registered already, by .*metrics.py",
        ),
    ],
)
def test_a_file_that_cannot_be_imported_is_named(tmp_path, content, message, capsys):
    file = tmp_path / "mine.py"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        load_plugin(file)

    def never():
        raise AssertionError("no parser is built after a plugin has failed")

    assert run_command(never, never, ["--plugin", str(file)]) == 2
    assert re.search(message, capsys.readouterr().err)
