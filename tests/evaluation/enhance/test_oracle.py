"""An oracle's scores say so wherever they appear, whatever its experiment is called."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from asteroid.models import CNUNet
from evaluation.compare.means_table import comparison_table
from evaluation.compare.systems import parse_system
from evaluation.enhance.infer import main as infer
from evaluation.report.cli import main as report
from evaluation.score.cli import main as utt_eval
from evaluation.testset.experiment import find_experiment
from seloss.embeddings.embedded import EmbeddedCNUNet
from tests.data import make_manifest

TINY = {"channels": 4, "inner_channels": 2, "depths": (2, 2), "win_length": 64}
TINY |= {"hop_length": 32, "n_fft": 64}
HEARS, TAUGHT = "oracle: hears the clean speech", "trained on latents of an oracle"


def networks():
    """What three experiments of innocent names hold."""
    torch.manual_seed(0)
    embedder = {"embedder": "distilled_xlsr", "embedder_options": {"layer": 2}}
    return {
        "first": EmbeddedCNUNet(1, 200, oracle=True, **embedder, **TINY),
        "second": CNUNet(oracle_latents=True, **TINY),
        "plain": CNUNet(**TINY),
    }


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Three experiments, enhanced and judged."""
    folder = tmp_path_factory.mktemp("experiments")
    manifest = make_manifest(folder / "data", n_items=2, n_mics=1, seconds=0.6, name="test.json")
    for tag, network in networks().items():
        (folder / tag).mkdir()
        torch.save(network.serialize(), folder / tag / "best_model.pth")
        which = ["--experiment_tag", tag, "--root", str(folder)]
        assert infer([*which, "--manifest", str(manifest), "--device", "cpu"]) == 0
        assert utt_eval([*which, "--metrics", "si_sdr", "--jobs", "0"]) == 0
    return folder


def test_the_notice_travels_with_the_weights(root):
    from asteroid.models.base_models import BaseModel

    found = [BaseModel.from_pretrained(str(root / tag / "best_model.pth")) for tag in networks()]
    assert [network.notice for network in found] == [HEARS, TAUGHT, ""]
    again = BaseModel.from_pretrained(found[1].serialize())
    assert again.notice == TAUGHT


def test_tables_and_samples_say_it(root):
    for tag, notice in (("first", HEARS), ("second", TAUGHT)):
        testset = find_experiment(tag, root).testset()
        judged = pd.read_csv(testset.metrics / "metrics_by_sample.csv")
        assert set(judged["notice"]) == {notice}
        assert testset.title == f"{tag} / test ({notice})"
        assert set(testset.samples()["notice"]) == {notice}
        assert parse_system(tag, root=root).name == f"{tag} ({notice})"
    plain = find_experiment("plain", root).testset()
    assert "notice" not in pd.read_csv(plain.metrics / "metrics_by_sample.csv")
    table = comparison_table([find_experiment(tag, root) for tag in networks()])
    assert list(table.index)[1:] == [f"first ({HEARS})", f"second ({TAUGHT})", "plain"]


def test_the_report_says_it(root, tmp_path):
    page = tmp_path / "report.html"
    systems = ["first", "second", "plain", "--root", str(root), "-o", str(page)]
    assert report([*systems, "--jobs", "1"]) == 0
    text = page.read_text(encoding="utf-8")
    assert f"first: {HEARS}." in text
    assert f"second: {TAUGHT}." in text


def test_an_oracle_hears_the_clean_speech_and_nothing_else(root):
    from evaluation.enhance.network import enhance_mixture
    from seloss.data import open_dataset

    network = networks()["first"].eval()
    item = open_dataset(root / "data" / "test.json", sample_rate=16000)[0]
    clean = item.sources[0]
    with torch.no_grad():
        expected = network(item.mixture, network.embed(clean[None]))[0, 0]
    assert torch.allclose(enhance_mixture(network, item.mixture, clean=clean), expected, atol=1e-6)
    assert (
        enhance_mixture(network, item.mixture, clean=clean.flip(0)) - expected
    ).abs().max() > 1e-6
    with pytest.raises(ValueError, match=r"clean speech \(oracle\)"):
        enhance_mixture(network, item.mixture)
