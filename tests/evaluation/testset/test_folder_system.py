"""Any other system's folder of audio as a test set."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.testset.experiment import References, open_system
from tests.data import make_manifest
from tests.evaluation.folder import make_experiment, write_audio


def write_all(folder: Path, *names: str) -> Path:
    for name in names:
        write_audio(folder / name)
    return folder


def test_a_manifest_gives_references_and_what_is_known(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = make_manifest(tmp_path / "data", n_items=4, seconds=0.2)
    estimates = write_all(tmp_path / "net", "item0_enh.wav", "x/item2.wav", "item3/e.wav", "z.wav")
    testset = open_system(estimates, references=References(manifest))
    assert testset.folder == tmp_path / "net_results"
    assert testset.system == "net"
    table = testset.samples().set_index("id")
    assert list(table.index) == ["item0", "item1", "item2", "item3"]
    assert list(table["noise_type"]) == ["pink", "hum", "pink", "hum"]
    signals = testset.signals()
    first, second = signals["sample_0"], signals["sample_1"]
    assert first["estimate"] == estimates / "item0_enh.wav"
    assert first["speech"] == tmp_path / "data" / "audio" / "item0" / "speech_mic1.wav"
    assert first["mixture_right"] == tmp_path / "data" / "audio" / "item0" / "mixture_mic2.wav"
    assert "estimate" not in second
    assert "1 reference(s) without a partner: item1" in caplog.text
    assert "1 estimate(s) without a partner: z.wav" in caplog.text
    assert (testset.folder / "unpaired.csv").read_text() == (
        "kind,name\nreference,item1\nestimate,z.wav\n"
    )


def test_folders_give_references(tmp_path: Path) -> None:
    clean = write_all(tmp_path / "clean", "a/u1.wav", "b/u1.wav")
    noisy = write_all(tmp_path / "noisy", "a/u1.flac", "b/u1.flac")
    noise = write_all(tmp_path / "noise", "a_u1.wav")
    estimates = write_all(tmp_path / "net", "a/u1.wav", "b/u1.wav")
    known = tmp_path / "known.csv"
    known.write_text("id,speaker,snr_db\na/u1,007,2.5\n")
    references = References(targets=clean, mixtures=noisy, information=known)
    signals = open_system(estimates, references=references).signals()
    assert signals["sample_1"] == {
        "speech": clean / "b" / "u1.wav",
        "mixture": noisy / "b" / "u1.flac",
        "estimate": estimates / "b" / "u1.wav",
    }
    table = open_system(estimates).samples()
    assert table["speaker"].tolist()[0] == "007"
    assert table["snr_db"].tolist()[0] == 2.5
    # two targets are called u1: which of them a_u1 belongs to its name does not say
    with pytest.raises(ValueError, match="a_u1"):
        open_system(estimates, references=References(targets=clean, noises=noise))


def test_a_folder_opened_once_needs_no_references_again(tmp_path: Path) -> None:
    clean = write_all(tmp_path / "clean", "u1.wav", "u2.wav")
    estimates = write_all(tmp_path / "net", "u1.wav", "u2.wav")
    with pytest.raises(FileNotFoundError, match="give its references, --input_json"):
        open_system(estimates)
    first = open_system(estimates, references=References(targets=clean))
    assert open_system(estimates) == first
    assert open_system(first.folder) == first
    elsewhere = open_system(
        estimates, references=References(targets=clean), results=tmp_path / "mine"
    )
    assert elsewhere.folder == tmp_path / "mine"
    other = write_all(tmp_path / "other", "u1.wav")
    with pytest.raises(ValueError, match=r"holds the results of .*net: give another --results"):
        open_system(other, references=References(targets=clean), results=tmp_path / "mine")


def test_a_sample_keeps_its_number_when_others_come(tmp_path: Path) -> None:
    clean = write_all(tmp_path / "clean", "b.wav", "c.wav")
    estimates = write_all(tmp_path / "net", "b.wav", "c.wav")
    open_system(estimates, references=References(targets=clean))
    write_all(clean, "a.wav")
    write_all(estimates, "a.wav")
    table = open_system(estimates, references=References(targets=clean)).samples()
    numbers = dict(zip(table["id"], table["Sample_ID"], strict=True))
    assert numbers == {"b": "sample_0", "c": "sample_1", "a": "sample_2"}


def test_a_tag_comes_before_a_folder_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_experiment(tmp_path / "experiments", n_samples=1)
    monkeypatch.chdir(tmp_path)
    clean = write_all(tmp_path / "clean", "u1.wav")
    write_all(tmp_path / "XP", "u1.wav")
    open_system("./XP", references=References(targets=clean))
    assert open_system("XP").folder == Path("experiments/XP/test")
    assert open_system("XP").system == "XP"
    assert open_system("./XP").folder == tmp_path / "XP_results"
    signals = open_system("XP").signals()
    assert signals["sample_0"]["estimate"] == Path("experiments/XP/test/sample_0/estimate.wav")
    with pytest.raises(FileNotFoundError, match="no experiment 'YP'"):
        open_system("YP")
    with pytest.raises(FileNotFoundError, match="no folder"):
        open_system(tmp_path / "YP")


def test_references_are_of_one_kind_and_names_must_meet(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="give one type"):
        References()
    with pytest.raises(ValueError, match="give one type"):
        References(Path("m.json"), targets=Path("clean"))
    with pytest.raises(ValueError, match="the noise alone"):
        References(noises=Path("noise"))
    clean = write_all(tmp_path / "clean", "u1.wav")
    estimates = write_all(tmp_path / "net", "v1.wav")
    with pytest.raises(ValueError, match=r"estimates are v1\.wav; references are u1"):
        open_system(estimates, references=References(targets=clean))
    assert not (tmp_path / "net_results").exists()


def test_the_unprocessed_input_is_a_system(tmp_path: Path) -> None:
    clean = write_all(tmp_path / "clean", "1_clean.wav", "2_clean.wav")
    noisy = write_all(tmp_path / "noisy", "1_noisy.wav", "2_noisy.wav", "3_noisy.wav")
    testset = open_system(noisy, references=References(targets=clean, mixtures=noisy))
    for sample, number in (("sample_0", 1), ("sample_1", 2)):
        signals = testset.signals()[sample]
        assert signals["estimate"] == signals["mixture"] == noisy / f"{number}_noisy.wav"
        assert signals["speech"] == clean / f"{number}_clean.wav"
    assert "estimate,3_noisy.wav" in (testset.folder / "unpaired.csv").read_text()
    manifest = make_manifest(tmp_path / "data", n_items=2, seconds=0.2)
    audio = tmp_path / "data" / "audio"
    signals = open_system(audio, references=References(manifest)).signals()
    assert signals["sample_1"]["estimate"] == signals["sample_1"]["mixture"]


@pytest.mark.parametrize("role", ["mixtures", "noises", "information"])
def test_what_pairs_with_no_reference_is_refused_with_both_names(tmp_path: Path, role: str) -> None:
    clean = write_all(tmp_path / "clean", "u1.wav", "u2.wav")
    estimates = write_all(tmp_path / "net", "u1.wav", "u2.wav")
    other = write_all(tmp_path / "other", "a.wav", "b.wav")
    if role == "information":
        other = tmp_path / "known.csv"
        other.write_text("id,snr_db\na.wav,1\nb.wav,2\n")
    references = References(targets=clean, **{role: other})
    with pytest.raises(ValueError, match=rf"--{role} .* fits no reference.* a.*, b.*; .* u1, u2"):
        open_system(estimates, references=references)
    assert not (tmp_path / "net_results").exists()


def test_what_some_references_lack_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = ("u1.wav", "u2.wav", "u3.wav")
    clean, estimates = (write_all(tmp_path / folder, *names) for folder in ("clean", "net"))
    noisy = write_all(tmp_path / "noisy", "u1.wav", "u9.wav")
    (tmp_path / "known.csv").write_text("id,snr_db\nu1,1\nu2,2\n")
    references = References(targets=clean, mixtures=noisy, information=tmp_path / "known.csv")
    open_system(estimates, references=references)
    assert f"--mixtures {noisy} has nothing for 2 of 3 references: u2, u3" in caplog.text
    assert "known.csv has nothing for 1 of 3 references: u3" in caplog.text


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-16", "id,speaker,snr_db\nMu\u0308ller,007,2.5\nNA,NA,-1\n"),
        ("utf-8-sig", "id;speaker;snr_db\nMüller;007;2,5\nNA;NA;-1\n"),
    ],
)
def test_tables_of_spreadsheets_and_names_of_both_forms_are_read(
    tmp_path: Path, encoding: str, text: str
) -> None:
    clean, estimates = (
        write_all(tmp_path / folder, "Müller.wav", "NA.wav") for folder in ("clean", "net")
    )
    (tmp_path / "known.csv").write_text(text, encoding=encoding)
    references = References(targets=clean, information=tmp_path / "known.csv")
    table = open_system(estimates, references=references).samples().set_index("id")
    assert dict(table["speaker"]) == {"Müller": "007", "NA": "NA"}
    assert dict(table["snr_db"]) == {"Müller": 2.5, "NA": -1.0}


def test_ears_are_microphones_of_the_manifest(tmp_path: Path) -> None:
    manifest = make_manifest(tmp_path / "data", n_items=1, n_mics=3, seconds=0.2)
    estimates = write_all(tmp_path / "net", "item0.wav")
    signals = open_system(estimates, references=References(manifest, ears=(3, 2))).signals()
    assert signals["sample_0"]["speech"].name == "speech_mic1.wav"
    assert signals["sample_0"]["speech_left"].name == "speech_mic3.wav"
