"""CNUNet's programs: both stages by one command, stopped and resumed; what does not fit refused."""

from __future__ import annotations

import csv
import json
import sys

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
import torch
import yaml

from asteroid.models import CNUNet
from seloss.embeddings.embedded import EmbeddedCNUNet
from tests.data import make_manifest, make_mixture
from tests.programs import ROOT, run

RECIPE = ROOT / "egs" / "CNUNet"
TINY = {"channels": 4, "inner_channels": 2, "depths": [2, 2], "win_length": 64}
TINY |= {"hop_length": 32, "n_fft": 64}
FLAGS = "--channels 4 --inner_channels 2 --depths 2,2 --net.n_fft 64 --net.win_length 64 "
FLAGS += "--net.hop_length 32 --metrics si_sdr --segment 0.4 --num_workers 0 --embedding.layer 2"
HEARD = 1.05  # seconds: DNSMOS is defined from 1 s on


def recipe_module(name, monkeypatch):
    """Import a module of the recipe, whose modules have names that other recipes use too."""
    monkeypatch.syspath_prepend(str(RECIPE))
    for other in RECIPE.glob("*.py"):
        monkeypatch.delitem(sys.modules, other.stem, raising=False)
    module = __import__(name)
    for other in RECIPE.glob("*.py"):  # forgotten again after the test
        if other.stem in sys.modules:
            monkeypatch.setitem(sys.modules, other.stem, sys.modules[other.stem])
    return module


def tell_genders(manifest, genders):
    entries = json.loads(manifest.read_text())
    for entry in entries:
        if entry["speaker"] in genders:
            entry["gender"] = genders[entry["speaker"]]
    manifest.write_text(json.dumps(entries))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data with space")
    made = {}
    for seed, (name, n_items) in enumerate((("train", 4), ("valid", 2), ("test", 6))):
        made[name] = make_manifest(
            folder / name, n_items=n_items, n_mics=1, seconds=HEARD, name=f"{name}.json", seed=seed
        )
    tell_genders(made["test"], {"speaker0": "female", "speaker1": "male"})
    return made


FAST = ("--metrics", "si_sdr")  # where it does not matter what is measured


def command(data, root, *arguments, epochs=1):
    """Run run_.sh; return what it printed."""
    given = [*FLAGS.split(), "--epochs", epochs, "--embedding.folder", root / "embeddings"]
    files = {f"SELOSS_{name.upper()}_JSON": data[name] for name in data}
    files["SELOSS_EXPERIMENTS"] = root
    done = run(RECIPE / "run_.sh", *arguments, "--", *given, timeout=1500, **files)
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_one_command_runs_both_stages_and_runs_nothing_twice(data, tmp_path):
    told = command(data, tmp_path, "--tag", "T", "--baseline", "--jobs", "2")
    assert "latents of 2 utterances: 0 there, 2 to compute" in told  # two processes, two each
    for tag in ("T_stage1", "T_stage2", "T_plain"):
        scores = pd.read_csv(tmp_path / tag / "test" / "metrics" / "metrics_by_sample.csv")
        assert len(scores) == 6
        wanted = ["PESQ", "STOI", "CSIG_out", "CBAK_out", "COVL_out", "segSNR_out"]
        wanted += ["DNSMOS-SIG_out", "DNSMOS-BAK_out", "DNSMOS-OVRL_out", "DNSMOS-OVRL_in"]
        assert scores[wanted].notna().all().all()
    history = (tmp_path / "T_stage2" / "history.csv").read_text()
    assert "val/loss_latent" in history.splitlines()[0]
    again = command(data, tmp_path, "--tag", "T", "--baseline")
    assert "latents of 4 utterances: 4 there, 0 to compute" in again
    assert (tmp_path / "T_stage2" / "history.csv").read_text() == history


def test_a_span_of_stages_runs_no_other(data, tmp_path):
    programs = [
        [line for line in command(data, tmp_path, "--dry-run", *asked).splitlines() if "--" in line]
        for asked in (["--stage", "2..2"], ["--stage", "2", "--stop_stage", "2"], ["--stage", "2"])
    ]
    assert len(programs[0]) == 1
    assert "--what latents" in programs[0][0]
    assert programs[1] == programs[0]
    assert len(programs[2]) > 1


KILLED = """
import os, sys
sys.path.insert(0, sys.argv.pop(1))
from seloss.data.formats.feature_store import FeatureStore
from seloss.embeddings.embedded import EmbeddedCNUNet
from store import main
FeatureStore.__init__.__kwdefaults__["shard_seconds"] = 0.0
analyse, done = EmbeddedCNUNet.analyse, []
def dying(self, mixture, layers):
    done.append(mixture)
    if len(done) == 3:
        os.kill(os.getpid(), 9)
    return analyse(self, mixture, layers)
EmbeddedCNUNet.analyse = dying
main(sys.argv[1:])
"""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_in_the_store_and_between_stages_it_goes_on(data, tmp_path):
    command(data, tmp_path, "--tag", "T", "--stage", "1", "--stop_stage", "1")
    first = tmp_path / "T_stage1"
    files = ["--train_json", data["train"], "--valid_json", data["valid"], "--stage1", first]
    run("-c", KILLED, RECIPE, *files, "--what", "latents", status=-9)
    told = command(data, tmp_path, "--tag", "T", "--stage", "2", *FAST)
    assert "latents of 4 utterances: 2 there, 2 to compute" in told
    assert "latents of 2 utterances: 0 there, 2 to compute" in told
    assert (tmp_path / "T_stage2" / "best_model.pth").is_file()
    resumed = command(data, tmp_path, "--tag", "T", "--stage", "3", *FAST, epochs=2)
    assert "resuming" in resumed


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_an_oracle_of_any_name_is_called_one(data, tmp_path):
    told = command(data, tmp_path, "--tag", "T", "--oracle", *FAST)
    assert "(oracle: hears the clean speech)" in told
    words = ["-m", "evaluation.table", "T_oracle_stage1", "T_oracle_stage2"]
    told = run(*words, SELOSS_EXPERIMENTS=tmp_path).stdout
    assert "T_oracle_stage1 (oracle: hears the clean speech)" in told
    assert "T_oracle_stage2 (trained on latents of an oracle)" in told


@pytest.fixture
def first_stage(tmp_path):
    """A folder like that of a trained stage 1, with embeddings of a small WavLM of size 32."""
    from transformers import WavLMConfig, WavLMModel

    sizes = {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    sizes |= {"conv_dim": (8,) * 7, "num_conv_pos_embeddings": 4}
    sizes |= {"num_conv_pos_embedding_groups": 2, "feat_extract_norm": "layer"}

    def save(size):
        torch.manual_seed(0)
        model = WavLMModel(WavLMConfig(hidden_size=size, **sizes))
        model.save_pretrained(tmp_path / "wavlm")

    save(32)
    options = {"layer": "all", "path": str(tmp_path / "wavlm")}
    network = EmbeddedCNUNet(2, 32, embedder="hub", embedder_options=options, **TINY)
    folder = tmp_path / "first"
    folder.mkdir()
    torch.save(network.serialize(), folder / "best_model.pth")
    embedding = {"name": "hub", "path": options["path"], "layer": "all", "source": "noisy"}
    embedding |= {"trained_layers": True, "alignment": "linear"}
    embedding |= {"folder": str(tmp_path / "embeddings")}
    (folder / "conf.yml").write_text(yaml.safe_dump({"stage": 1, "embedding": embedding}))
    return folder, save


def of_stage2(data, first):
    files = ["--train_json", str(data["train"]), "--valid_json", str(data["valid"])]
    return [*files, *FLAGS.split(), "--stage1", str(first)]


def test_latents_of_a_wavlm_are_stored_and_another_size_is_refused(
    data, first_stage, monkeypatch, caplog
):
    caplog.set_level("INFO")
    store = recipe_module("store", monkeypatch)
    folder, save = first_stage
    store.main(of_stage2(data, folder))
    assert "embeddings of 4 utterances: 0 there, 4 to compute" in caplog.text
    assert len(list((folder / "latents").rglob("shard-*.safetensors"))) == 2  # train and valid
    save(48)
    with pytest.raises(ValueError, match="for embeddings of size 32, the embedder gives 48"):
        store.main(of_stage2(data, folder))


def test_a_share_of_latents_needs_all_embeddings(data, first_stage, monkeypatch):
    store = recipe_module("store", monkeypatch)
    folder, _ = first_stage
    part = [*of_stage2(data, folder), "--shard", "1/2"]
    with pytest.raises(FileNotFoundError, match=r"holds no stored features .*: store them first"):
        store.main([*part, "--what", "latents"])
    for shard in ("1/2", "2/2"):
        store.main([*of_stage2(data, folder), "--what", "embeddings", "--shard", shard])
    store.main([*part, "--what", "latents"])


def test_a_stage_one_that_is_none_is_refused(data, first_stage, tmp_path, monkeypatch):
    store = recipe_module("store", monkeypatch)
    folder, _ = first_stage
    with pytest.raises(FileNotFoundError, match=r"nowhere holds no conf\.yml: train stage 1"):
        store.main(of_stage2(data, tmp_path / "nowhere"))
    torch.save(CNUNet(**TINY).serialize(), folder / "best_model.pth")
    with pytest.raises(ValueError, match="holds a CNUNet, not a network of stage 1"):
        store.main([*of_stage2(data, folder), "--what", "latents"])
    conf = yaml.safe_load((folder / "conf.yml").read_text())
    (folder / "conf.yml").write_text(yaml.safe_dump({**conf, "stage": 2}))
    with pytest.raises(ValueError, match=r"holds no stage 1 of CNUNet: its conf\.yml has stage 2"):
        store.main(of_stage2(data, folder))


def test_missing_and_unpaired_files_are_named_before_anything_is_computed(
    data, tmp_path, monkeypatch
):
    store = recipe_module("store", monkeypatch)
    for kind in ("noisy", "clean"):
        (tmp_path / kind).mkdir()
    for index in range(3):
        noisy, clean, _ = make_mixture(0.5, n_mics=1, seed=index)
        sf.write(tmp_path / "noisy" / f"p226_{index:03d}.wav", noisy[0], 16000)
        if index:
            sf.write(tmp_path / "clean" / f"p226_{index:03d}.wav", clean[0], 16000)
    pairs = tmp_path / "pairs.yml"
    pairs.write_text("noisy: noisy\nclean: clean\nrule: voicebank\n")
    given = ["--valid_json", str(data["valid"]), *FLAGS.split(), "--what", "embeddings"]
    given += ["--embedding.folder", str(tmp_path / "embeddings")]
    with pytest.raises(ValueError, match=r"'p226_000\.wav': has no counterpart in .*clean"):
        store.main(["--train_json", str(pairs), *given])
    entries = json.loads(data["valid"].read_text())
    entries[1]["1"]["mixture"] = "audio/gone.wav"
    broken = data["valid"].with_name("broken.json")
    broken.write_text(json.dumps(entries))
    with pytest.raises(ValueError, match=r"item 'item1'.*gone\.wav"):
        store.main(["--train_json", str(broken), *given])
    assert not list(tmp_path.rglob("shard-*"))
    pairs.write_text("noisy: noisy\nclean: clean\nrule: voicebank\nunpaired: skip\n")
    store.main(["--train_json", str(pairs), *given])
    rows = [json.loads(one.read_text()) for one in tmp_path.rglob("index.json")]
    assert {"p226_001", "p226_002"} in [set(one) for one in rows]


def test_options_that_contradict_each_other_are_refused(data, monkeypatch, capsys):
    store = recipe_module("store", monkeypatch)
    with pytest.raises(SystemExit):
        store.main(["--jobs", "2", "--shard", "1/2"])
    assert "a --shard is one process's" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("talkers.csv", "speaker,gender\np226,M\np228,female\np999,\n"),
        ("speaker-info.txt", "ID AGE GENDER ACCENTS\np226  22  M  English\n228  22  F  English\n"),
        ("SPEAKERS.TXT", "; comment | F\np226 | M | train | 1 | A\np228 | F | train | 2 | B\n"),
    ],
)
def test_lists_of_talkers_are_read(name, text, tmp_path, monkeypatch):
    talkers = recipe_module("talkers", monkeypatch)
    (tmp_path / name).write_text(text)
    assert talkers.read_talkers(tmp_path / name) == {"p226": "male", "p228": "female"}
    points = pd.DataFrame({"speaker": ["p226", "p228", "x"], "gender": ["female", None, None]})
    # what the data say counts more than a list
    assert talkers.genders_of(points, tmp_path / name) == ["female", "female", None]


def test_a_list_without_genders_is_refused(tmp_path, monkeypatch):
    talkers = recipe_module("talkers", monkeypatch)
    (tmp_path / "t.csv").write_text("name,sex\nx,F\n")
    with pytest.raises(ValueError, match=r"has no talker's gender: expected a \.csv with"):
        talkers.read_talkers(tmp_path / "t.csv")


def test_silhouettes_are_those_of_groups_known_apart(monkeypatch):
    picture = recipe_module("latent_picture", monkeypatch)
    draw = np.random.default_rng(0)
    centres = np.repeat(np.eye(4) * 100, 5, axis=0)
    points = pd.DataFrame({"speaker": np.repeat(list("abcd"), 5)})
    points["gender"] = [{"a": "female", "b": "female", "c": "male"}.get(s) for s in points.speaker]
    table = picture.measure(centres + draw.normal(size=(20, 4)), points).set_index("label")
    assert table.loc["speaker", "silhouette"] > 0.95
    assert tuple(table.loc["gender", ["points", "groups", "unknown"]]) == (15, 2, 5)
    mixed = picture.measure(draw.normal(size=(20, 4)), points).set_index("label")
    assert abs(mixed.loc["speaker", "silhouette"]) < 0.2
    alone = picture.measure(centres, points.assign(speaker="a")).set_index("label")
    assert np.isnan(alone.loc["speaker", "silhouette"])


@pytest.mark.parametrize("piece", [None, 0.5])
def test_the_picture_of_the_latents_and_its_numbers(data, tmp_path, monkeypatch, piece, capsys):
    tsne = recipe_module("tsne", monkeypatch)
    torch.manual_seed(0)
    told = {"plain": False, "taught": True}
    for tag, taught in told.items():
        (tmp_path / tag).mkdir()
        network = CNUNet(oracle_latents=taught, **TINY)
        torch.save(network.serialize(), tmp_path / tag / "best_model.pth")
    output = tmp_path / "figures" / "latents.png"
    given = [str(tmp_path / tag) for tag in told] + ["--data", str(data["test"]), "-o", str(output)]
    tsne.main([*given, *(["--piece", str(piece), "--per_speaker", "5"] if piece else [])])
    assert output.read_bytes()[:4] == b"\x89PNG"
    rows = list(csv.DictReader(output.with_suffix(".csv").open()))
    names = {"plain", "taught (trained on latents of an oracle)"}
    assert {(row["experiment"], row["label"]) for row in rows} == {
        (name, label) for name in names for label in ("speaker", "gender")
    }
    points = pd.read_csv(output.with_suffix(".points.csv"))
    assert len(points) == 2 * (10 if piece else 6)  # 12 pieces, at most 5 of each speaker
    assert set(points["gender"]) == {"female", "male"}
    # the same points, networks and seed give the same picture
    before = points
    tsne.main([*given, *(["--piece", str(piece), "--per_speaker", "5"] if piece else [])])
    assert pd.read_csv(output.with_suffix(".points.csv")).equals(before)
    assert "silhouette" in capsys.readouterr().out


def test_pieces_are_pooled_apart(monkeypatch):
    tsne = recipe_module("tsne", monkeypatch)
    latent = torch.arange(12.0).reshape(1, 1, 12)
    expected = [[2.5, np.std(np.arange(6))], [8.5, np.std(np.arange(6))]]
    assert np.allclose(tsne.pool(latent, 2), expected)


def test_a_picture_refuses_what_it_cannot_show(data, tmp_path, monkeypatch):
    tsne = recipe_module("tsne", monkeypatch)
    given = ["--data", str(data["valid"]), "-o", str(tmp_path / "x.png")]
    with pytest.raises(FileNotFoundError, match=r"no best_model\.pth in .*nowhere"):
        tsne.main([str(tmp_path / "nowhere"), *given])
    torch.save(CNUNet(**TINY).serialize(), tmp_path / "best_model.pth")
    with pytest.raises(ValueError, match="needs at least 5 points"):
        tsne.main([str(tmp_path), *given])
    with pytest.raises(ValueError, match="--piece must be above 0"):
        tsne.main([str(tmp_path), *given, "--piece", "0"])
