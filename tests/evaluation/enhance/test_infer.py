"""From a checkpoint and a manifest to audio."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
import torch
from torch import Tensor, nn

from asteroid.models import ConvTasNet
from asteroid.models.deep_complex_unet import DCUnet
from evaluation.enhance import infer
from evaluation.enhance.network import enhance_mixture, load_network
from evaluation.score import cli as utt_eval
from evaluation.testset.experiment import find_experiment
from seloss.data.formats.manifest import read_manifest, write_manifest
from tests.data import SAMPLE_RATE, make_manifest
from tests.evaluation.folder import save_network


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An experiment with a network and a manifest of two and three microphones."""
    monkeypatch.setenv("SELOSS_EXPERIMENTS", str(tmp_path))
    save_network(tmp_path / "XP")
    make_manifest(tmp_path / "data", n_items=3, n_mics=[2, 3], seconds=[0.3, 0.4])
    return tmp_path


def run(place: Path, *options: str, manifest: str = "data/manifest.json") -> int:
    arguments = ["--experiment_tag", "XP", "--manifest", str(place / manifest), "--device", "cpu"]
    return infer.main([*arguments, "--testset", "test", *options])


class Loud(nn.Module):
    """Answers far beyond full scale; its parameter says on which device it is."""

    in_channels = 1

    def __init__(self, answer: Tensor) -> None:
        super().__init__()
        self.answer = nn.Parameter(answer)

    def forward(self, mixture: Tensor) -> Tensor:
        """Return the answer, whatever comes."""
        return self.answer


def test_audio_is_the_networks_answer_at_any_level(place: Path) -> None:
    """The original cut it off at full scale in 16-bit files, and judged what it had not written."""
    network = save_network(place / "XP", seed=1)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "encoder" not in name:
                parameter.mul_(3.0)
    torch.save(network.serialize(), place / "XP" / "best_model.pth")
    assert run(place) == 0
    folder = place / "XP" / "test"
    items = read_manifest(place / "data" / "manifest.json")
    for index, item in enumerate(items):
        files = {
            name: folder / f"sample_{index}" / f"{name}.wav" for name in ("mixture", "estimate")
        }
        mixture = torch.from_numpy(
            np.stack([sf.read(path, dtype="float32")[0] for path in item.mixture])
        )
        assert np.array_equal(sf.read(files["mixture"], dtype="float32")[0], mixture[0].numpy())
        with torch.no_grad():
            expected = network(mixture[None])[0, 0]
        found = torch.from_numpy(sf.read(files["estimate"], dtype="float32")[0])
        assert torch.allclose(found, expected, atol=1e-5 * float(expected.abs().max()))
        assert sf.info(files["estimate"]).subtype == "FLOAT"
        assert sf.info(files["estimate"]).samplerate == SAMPLE_RATE


def test_levels_beyond_full_scale_are_kept_or_matched() -> None:
    mixture = torch.sin(torch.arange(1000) / 7.0)[None]
    network = Loud(300.0 * mixture + 1.0)
    assert torch.equal(enhance_mixture(network, mixture), network.answer.detach()[0])
    matched = enhance_mixture(network, mixture, match_level=True)
    assert matched.abs().max() == pytest.approx(1.0, abs=0.02)


def test_numbers_stay_with_the_ids(place: Path) -> None:
    assert run(place) == 0
    testset = find_experiment("XP").testset()
    table = testset.samples()
    assert dict(zip(table["Sample_ID"], table["id"], strict=True)) == {
        "sample_0": "item0",
        "sample_1": "item1",
        "sample_2": "item2",
    }
    assert list(table["n_mics"]) == [2, 3, 2]
    assert list(table["speaker"]) == ["speaker0", "speaker1", "speaker0"]
    items = read_manifest(place / "data" / "manifest.json")
    make_manifest(place / "more", n_items=1, prefix="new", seconds=0.3)
    more = read_manifest(place / "more" / "manifest.json")
    write_manifest(place / "data" / "other.json", [more[0], items[2], items[0]])
    assert run(place, manifest="data/other.json") == 0
    table = testset.samples().set_index("id")["Sample_ID"]
    assert dict(table) == {"item0": "sample_0", "item2": "sample_2", "new0": "sample_3"}
    assert utt_eval.main(["--experiment_tag", "XP", "--metrics", "si_sdr", "--jobs", "0"]) == 0
    judged = pd.read_csv(testset.metrics / "metrics_by_sample.csv")
    assert list(judged["id"]) == ["item0", "item2", "new0"]
    assert list(judged["snr_db"]) == [-3.0, 3.0, -3.0]


def test_a_second_run_makes_what_is_missing_and_all_of_a_new_network(place: Path) -> None:
    assert run(place) == 0
    folder = place / "XP" / "test"
    for path in folder.glob("sample_*/estimate.wav"):
        os.utime(path, (1, 1))
    (folder / "sample_1" / "estimate.wav").unlink()  # as after a crash of the disk
    assert run(place) == 0
    times = [path.stat().st_mtime for path in sorted(folder.glob("sample_*/estimate.wav"))]
    assert [old == 1 for old in times] == [True, False, True]
    before = (folder / "sample_0" / "estimate.wav").read_bytes()
    save_network(place / "XP", seed=7)
    assert run(place) == 0
    assert (folder / "sample_0" / "estimate.wav").read_bytes() != before
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == [infer.LEDGER]


def test_one_sample_that_fails_keeps_the_others(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = infer.enhance_mixture

    def fails_on_three_microphones(network: nn.Module, mixture: Tensor, **options: bool) -> Tensor:
        if len(mixture) == 3:
            return forward(Loud(torch.full((1, mixture.shape[1]), torch.nan)), mixture)
        return forward(network, mixture, **options)

    monkeypatch.setattr(infer, "enhance_mixture", fails_on_three_microphones)
    assert run(place) == 1
    said = (
        "1 of 3 samples could not be enhanced: item1: the network gave values that are not finite"
    )
    assert said in capsys.readouterr().err
    assert sorted(path.name for path in (place / "XP" / "test").glob("sample_*/")) == [
        "sample_0",
        "sample_2",
    ]


def test_networks_of_one_microphone_get_the_reference(place: Path) -> None:
    torch.manual_seed(0)
    network = ConvTasNet(1, n_filters=16, kernel_size=16, stride=8, n_blocks=1, n_repeats=1)
    torch.save(network.serialize(), place / "XP" / "best_model.pth")
    loaded = load_network(place / "XP" / "best_model.pth", torch.device("cpu"))
    mixture = torch.randn(3, 2000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = network.eval()(mixture[:1])[0, 0]
    assert torch.allclose(enhance_mixture(loaded, mixture), expected, atol=1e-6)


def test_weights_that_do_not_fit_are_refused(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The original loaded with strict=False and judged a random network without a word."""
    path = place / "XP" / "best_model.pth"
    saved = torch.load(path, weights_only=True)
    saved["state_dict"].pop(next(iter(saved["state_dict"])))
    torch.save(saved, path)
    assert run(place) == 1
    assert "Missing key(s) in state_dict" in capsys.readouterr().err
    path.write_bytes(b"not a checkpoint")
    assert run(place) == 1
    assert "best_model.pth is not a network that can be loaded" in capsys.readouterr().err


def test_a_broken_manifest_stops_before_anything_is_written(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = json.loads((place / "data" / "manifest.json").read_text())
    (place / "data" / entries[1]["1"]["speech"]).unlink()
    assert run(place) == 1
    error = capsys.readouterr().err
    assert "line 3" in error
    assert "item1" in error
    assert not (place / "XP" / "test").exists()
    assert run(place, manifest="data/none.json") == 1
    assert "no manifest" in capsys.readouterr().err


def test_wrong_places_and_usage(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(place, "--testset", "../out") == 1
    assert "test set must be the plain name of a folder" in capsys.readouterr().err
    assert (
        infer.main(["--experiment_tag", "XP", "--manifest", str(place / "data/manifest.json")]) == 0
    )
    assert (place / "XP" / "manifest" / "samples.csv").is_file()  # named after the manifest
    assert run(place, "--device", "gpu") == 1
    assert "infer: error:" in capsys.readouterr().err
    shutil.rmtree(place / "XP")
    (place / "XP").mkdir()
    assert run(place) == 1
    assert "train 'XP' first" in capsys.readouterr().err
    for options, status in ((["--help"], 0), ([], 2)):
        with pytest.raises(SystemExit) as stop:
            infer.main(options)
        assert stop.value.code == status


def test_a_test_array_is_enhanced_like_a_manifest(place: Path) -> None:
    from seloss.data.formats.array import ArrayInfo
    from seloss.data.formats.array_writer import ArrayWriter

    pairs = np.random.default_rng(0).standard_normal((4, 2, 3200)).astype(np.float32)
    columns = {
        "speaker": ["a", "a", "b", "b"],
        "noise_type": ["bus"] * 4,
        "snr_db": [0.0, 5.0, 0.0, 5.0],
        "seen": [True, True, False, False],
        "transcript": [None, "so", None, None],
    }
    axes = {"noise_class": ["seen", "unseen"], "snr_db": [0, 5]}
    path = place / "data" / "test.npy"
    info = ArrayInfo(path, (2, 2, 1, 2, 3200), SAMPLE_RATE, tuple("wxyz"), columns, axes)
    with ArrayWriter(info) as writer:
        writer.write(list(pairs), [{"length": 3200}] * 3 + [{"length": 3200}])
        writer.finish()
    assert run(place, manifest="data/test.npy") == 0
    table = pd.read_csv(place / "XP" / "test" / "samples.csv")
    assert table["id"].tolist() == list("wxyz")
    assert table["snr_db"].tolist() == [0, 5, 0, 5]
    assert table["seen"].tolist() == [True, True, False, False]
    assert table["transcript"].fillna("").tolist() == ["", "so", "", ""]
    speech = sf.read(place / "XP" / "test" / "sample_2" / "speech.wav", dtype="float32")[0]
    assert np.array_equal(speech, pairs[2, 1])


def test_ten_seconds_are_enhanced_whole(place: Path) -> None:
    """The original kept the middle 3.072 s of a 10 s file."""
    make_manifest(place / "long", n_items=1, seconds=10.0)
    assert run(place, manifest="long/manifest.json") == 0
    for name in ("mixture", "estimate"):
        info = sf.info(place / "XP" / "test" / "sample_0" / f"{name}.wav")
        assert info.frames == 10 * SAMPLE_RATE


def test_a_network_of_one_channel_gets_the_first_microphone(place: Path) -> None:
    network = DCUnet("DCUnet-10", width=0.05)
    torch.save(network.serialize(), place / "XP" / "best_model.pth")
    assert run(place) == 0
    estimate = sf.read(place / "XP" / "test" / "sample_0" / "estimate.wav", dtype="float32")[0]
    mixture = sf.read(place / "XP" / "test" / "sample_0" / "mixture.wav", dtype="float32")[0]
    expected = enhance_mixture(network.eval(), torch.from_numpy(mixture)[None])
    assert np.allclose(estimate, expected, atol=1e-6)
