"""Folders of noisy and clean files, paired by a pattern; what has no counterpart is named."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from seloss.data import open_dataset
from seloss.data.corpus.file_pairs import PAIRINGS, PairingRule, pair_folders
from seloss.data.formats.mixture import DataError
from seloss.data.load.open_dataset import read_pairs_file
from tests.data import noise_like, speech_like
from tests.seloss.data.corpus import write

RATE = 16000


def fill(folder, noisy, clean, seconds=0.2):
    for side, names in (("noisy", noisy), ("clean", clean)):
        for index, name in enumerate(names):
            write(folder / side / name, speech_like(seconds, seed=index))
    return folder / "noisy", folder / "clean"


def test_files_of_equal_names_are_pairs_and_the_noise_is_their_difference(tmp_path):
    clean, noise = speech_like(0.3), 0.2 * noise_like(0.3)
    write(tmp_path / "noisy" / "a.wav", clean + noise)
    write(tmp_path / "clean" / "a.wav", clean)
    (tmp_path / "pairs.yml").write_text("noisy: noisy\nclean: clean\n")
    dataset = open_dataset(tmp_path / "pairs.yml", sample_rate=RATE)
    item = dataset[0]
    assert item.id == "a"
    assert torch.equal(item.sources[0], torch.from_numpy(clean))
    assert np.allclose(item.sources[1], noise, atol=1e-6)


def test_the_patterns_of_the_dns_challenge(tmp_path):
    noisy = [
        "clnsp1_train_69005_1_snr15_tl-21_fileid_158.wav",
        "clnsp2_train_4_2_snr-5_tl-30_fileid_7.wav",
    ]
    folders = fill(tmp_path, noisy, ["clean_fileid_158.wav", "clean_fileid_7.wav"])
    pairs = {one.speech[0].name: one for one in pair_folders(*folders, PAIRINGS["dns_test"])}
    assert pairs["clean_fileid_158.wav"].mixture[0].name == noisy[0]
    assert pairs["clean_fileid_158.wav"].snr_db == 15
    assert pairs["clean_fileid_7.wav"].snr_db == -5
    assert len(pair_folders(*folders, PAIRINGS["dns"])) == 2


def test_a_rule_of_the_users_own_tells_facts(tmp_path):
    folders = fill(tmp_path, ["bus/p1_003.wav", "cafe/p2_003.wav"], ["p1-003.wav", "p2-003.wav"])
    rule = PairingRule("{noise_type}/{speaker}_{number}.wav", "{speaker}-{number}.wav")
    pairs = pair_folders(*folders, rule)
    assert [(one.id, one.speaker, one.noise_type) for one in pairs] == [
        ("bus-p1_003", "p1", "bus"),
        ("cafe-p2_003", "p2", "cafe"),
    ]


def test_every_file_without_counterpart_is_named(tmp_path, caplog):
    folders = fill(tmp_path, ["a.wav", "b.wav", "x.wav"], ["a.wav", "b.wav", "y.wav"])
    with pytest.raises(DataError) as caught:
        pair_folders(*folders)
    assert [problem.item for problem in caught.value.problems] == ["x.wav", "y.wav"]
    assert "has no counterpart in" in str(caught.value)
    with caplog.at_level(logging.WARNING):
        assert len(pair_folders(*folders, unpaired="skip")) == 2
    assert "x.wav, y.wav" in caplog.text


def test_two_files_for_one_counterpart_are_refused(tmp_path):
    folders = fill(tmp_path, ["u/a.wav", "v/a.wav"], ["a.wav"])
    with pytest.raises(DataError, match=r"v/a.wav.*has the same id as a.wav"):
        pair_folders(*folders, PairingRule("*/{id}.wav", "{id}.wav"))


def test_pairs_of_unequal_size_are_refused(tmp_path):
    write(tmp_path / "noisy" / "a.wav", speech_like(0.3))
    write(tmp_path / "clean" / "a.wav", speech_like(0.2))
    with pytest.raises(DataError, match=r"4800 samples.*and 3200 samples"):
        pair_folders(tmp_path / "noisy", tmp_path / "clean")


def test_characters_of_patterns_mean_themselves(tmp_path):
    folders = fill(tmp_path, ["a+b.wav", "aab.wav"], ["a+b.wav", "aab.wav"])
    rule = PairingRule("{id}+b.wav", "{id}+b.wav")
    assert [one.id for one in pair_folders(*folders, rule)] == ["a+b"]
    with pytest.raises(DataError, match="holds no file like"):
        pair_folders(*folders, PairingRule("{id}.flac", "{id}.flac"))


def test_patterns_without_a_common_name_are_refused():
    with pytest.raises(ValueError, match=r"must share a {name}"):
        PairingRule("{a}.wav", "{b}.wav")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("noisy: noisy\n", "must hold noisy, clean"),
        ("noisy: n\nclean: c\nfolder: x\n", "must hold noisy, clean"),
        ("noisy: noisy\nclean: clean\nrule: nothing\n", "'rule' must be same_name, voicebank"),
        ("noisy: noisy\nclean: clean\nunpaired: drop\n", "'unpaired' must be refuse or skip"),
        ("{", "is not YAML"),
    ],
)
def test_a_wrong_description_is_refused_with_its_file(tmp_path, text, what):
    fill(tmp_path, ["a.wav"], ["a.wav"])
    (tmp_path / "pairs.yml").write_text(text)
    with pytest.raises(DataError, match=what) as caught:
        read_pairs_file(tmp_path / "pairs.yml")
    assert "pairs.yml" in str(caught.value)


def test_missing_folders_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="noisy"):
        pair_folders(tmp_path / "noisy", tmp_path / "clean")
