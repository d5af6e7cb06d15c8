"""Voice Bank + DEMAND and the DNS challenge in the folders they are published in."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile as sf

from seloss.data import open_dataset
from seloss.data.corpus.corpora import dns_pairs, dns_recordings, read_log, voicebank_pairs
from seloss.data.formats.mixture import DataError
from tests.data import noise_like, speech_like
from tests.seloss.data.corpus import convert, energy_db, make_noise, write

RATE = 48000
TRAIN = [f"{speaker}_{n:03d}" for speaker in ("p226", "p227", "p287", "p228") for n in (1, 2)]
TEST = [f"{speaker}_{n:03d}" for speaker in ("p232", "p257") for n in (1, 2)]


def make_tree(root, rate=RATE, test_noise=("bus", "cafe")):
    """Write a tree with the names and the layout of the published corpus."""
    for split, names, kinds in (
        ("trainset_28spk", TRAIN, ("babble", "ssn", "kitchen")),
        ("testset", TEST, test_noise),
    ):
        log = []
        for index, name in enumerate(names):
            clean = speech_like(0.4, rate, seed=hash_of(name))
            noise = 0.2 * noise_like(0.4, rate, seed=index)
            write(root / f"clean_{split}_wav" / f"{name}.wav", clean, rate)
            write(root / f"noisy_{split}_wav" / f"{name}.wav", clean + noise, rate)
            log.append(f"{name} {kinds[index % len(kinds)]} {(15, 2.5)[split == 'testset']}")
        (root / f"log_{split}.txt").write_text("\n".join(log) + "\n")
    return root


def hash_of(name):
    return sum(map(ord, name))


def test_the_published_tree_gives_three_manifests_at_16_khz(tmp_path):
    pairs = voicebank_pairs(make_tree(tmp_path / "vb"))
    assert {split: len(items) for split, items in pairs.items()} == {
        "train": 4,
        "valid": 4,
        "test": 4,
    }
    manifests = convert(tmp_path / "out", pairs)
    valid = open_dataset(manifests["valid"], sample_rate=16000)
    assert {one.speaker for one in valid.items} == {"p226", "p287"}
    test = open_dataset(manifests["test"], sample_rate=16000)
    facts = test.items[0]
    assert (facts.id, facts.speaker, facts.noise_type) == ("p232_001", "p232", "bus")
    assert (facts.snr_db, facts.seen) == (2.5, False)
    item = test[0]
    assert item.mixture.shape == (1, 6400)
    # what lies below 8 kHz keeps its ratio: the resampler is linear and the same for both
    clean = speech_like(0.4, RATE, seed=hash_of("p232_001"))
    assert abs(item.sources[0].numpy()).max() == pytest.approx(abs(clean).max(), rel=0.05)
    assert np.isfinite(energy_db(*item.sources.numpy()))


def test_files_of_the_right_rate_stay_where_they_are(tmp_path):
    pairs = voicebank_pairs(make_tree(tmp_path / "vb", rate=16000))
    manifests = convert(tmp_path / "out", pairs)
    assert not list((tmp_path / "out").rglob("*.wav"))
    assert len(open_dataset(manifests["train"], sample_rate=16000)) == 4


def test_a_noise_of_the_test_in_training_is_refused(tmp_path):
    with pytest.raises(DataError, match="noise_type is in test and train"):
        voicebank_pairs(make_tree(tmp_path / "vb", test_noise=("bus", "kitchen")))


def test_a_test_speaker_in_training_is_refused(tmp_path):
    root = make_tree(tmp_path / "vb")
    for kind in ("clean", "noisy"):
        path = root / f"{kind}_trainset_28spk_wav" / "p232_009.wav"
        write(path, speech_like(0.4, RATE), RATE)
    with pytest.raises(DataError, match="'p232': speaker is in test and train"):
        voicebank_pairs(root)


def test_what_is_missing_is_told(tmp_path):
    root = make_tree(tmp_path / "vb")
    (root / "noisy_testset_wav" / "p232_001.wav").unlink()
    with pytest.raises(DataError, match=r"p232_001.wav"):
        voicebank_pairs(root)
    with pytest.raises(FileNotFoundError, match="no Voice Bank"):
        voicebank_pairs(tmp_path)
    with pytest.raises(DataError, match="validation speakers must be some of"):
        voicebank_pairs(make_tree(tmp_path / "whole"), ["p999"])


def test_a_wrong_log_is_refused_with_its_line(tmp_path):
    (tmp_path / "log.txt").write_text("p232_001 bus 17.5\np232_002 bus\n")
    with pytest.raises(DataError, match="line 2, item 'p232_002'"):
        read_log(tmp_path / "log.txt")


def test_without_logs_the_test_noise_counts_as_unseen(tmp_path):
    root = make_tree(tmp_path / "vb")
    for path in root.glob("*.txt"):
        path.unlink()
    assert not any(one.seen for one in voicebank_pairs(root)["test"])


def test_raw_dns_recordings_know_reader_and_noise_class(tmp_path):
    clean = tmp_path / "datasets" / "clean" / "read_speech"
    write(clean / "book_00000_chp_0009_reader_06709_0.wav", speech_like(0.3))
    write(clean / "book_00000_chp_0009_reader_06709_12.wav", speech_like(0.3))
    noise = tmp_path / "datasets" / "noise"
    write(noise / "door_Freesound_validated_464838_2.wav", noise_like(0.3))
    write(noise / "-0-PEeGVNbI.wav", noise_like(0.3))
    speech, sounds = dns_recordings(tmp_path)
    assert {one.group for one in speech} == {"06709"}
    assert {one.group for one in sounds} == {"door", "audioset"}
    with pytest.raises(DataError, match="expected datasets/clean or"):
        dns_recordings(noise)


def test_synthesised_dns_mixtures_are_split_by_reader(tmp_path):
    for number in range(20):
        name = f"book_1_chp_2_reader_{number % 10:05d}_0_snr5_tl-20_fileid_{number}.wav"
        write(tmp_path / "noisy" / name, speech_like(0.2, seed=number))
        write(tmp_path / "clean" / f"clean_fileid_{number}.wav", speech_like(0.2, seed=number))
    pairs = dns_pairs(tmp_path)
    sides = [{one.speaker for one in pairs[split]} for split in ("train", "valid")]
    assert len(sides[0]) == 9
    assert len(sides[1]) == 1
    assert not sides[0] & sides[1]


def test_noise_folders_of_demand_have_sixteen_channels_of_one_type(tmp_path):
    from seloss.data.corpus.listing import read_folder

    make_noise(tmp_path / "demand", ["DKITCHEN"], n_files=2)
    assert {one.group for one in read_folder(tmp_path / "demand", "noise")} == {"DKITCHEN"}
    assert sf.info(tmp_path / "demand" / "DKITCHEN" / "0.wav").channels == 1


def test_each_set_has_its_own_log_and_both_training_sets_are_taken(tmp_path, caplog):
    root = make_tree(tmp_path / "vb", rate=16000)
    for side in ("clean", "noisy"):
        for name in ("p234_001", "p246_001"):
            path = root / f"{side}_trainset_56spk_wav" / f"{name}.wav"
            write(path, speech_like(0.4, seed=hash_of(name + side)))
            path.with_name(f"._{name}.wav").write_bytes(b"\0\5\x16\7 Mac OS X")
    (root / "log_trainset_56spk.txt").write_text("p234_001 metro 10\n")
    pairs = voicebank_pairs(root)
    assert {one.speaker for one in pairs["train"]} == {"p227", "p228", "p234", "p246"}
    facts = {one.id: (one.noise_type, one.snr_db) for one in pairs["train"]}
    assert facts["p234_001"] == ("metro", 10)
    assert facts["p246_001"] == (None, None)
    assert "log_trainset_56spk.txt: noise type and SNR of 1 utterances are not known" in caplog.text
    (root / "log_trainset_56spk.txt").unlink()
    facts = {one.id: one.noise_type for one in voicebank_pairs(root)["train"]}
    assert facts["p234_001"] is None  # and not what the log of the other set would say
