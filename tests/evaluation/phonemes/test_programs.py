"""The two programs on an experiment whose phones and distortions are known."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
import torch

from auditus import get_metric
from evaluation.phonemes import cli as ph_eval
from evaluation.phonemes import retrieve as ph_retrieve
from evaluation.phonemes.alignment import Phone, alignment_of
from evaluation.phonemes.segments import read_segments
from evaluation.phonemes.textgrid import write_textgrid
from evaluation.testset.references import facts_of
from evaluation.testset.testset import TestSet
from seloss.data.formats.manifest import read_manifest
from seloss.data.load.mixture_dataset import MixtureDataset
from tests.data import SAMPLE_RATE, make_manifest, make_mixture
from tests.evaluation.folder import make_experiment
from tests.programs import ROOT, run

SECONDS = 0.6
# of 0.6 s: two vowels, a plosive and a nasal
PHONES = [
    Phone(0.0, 0.1, ""),
    Phone(0.1, 0.2, "AA1"),
    Phone(0.2, 0.3, "T"),
    Phone(0.3, 0.4, "IY0"),
    Phone(0.4, 0.5, "N"),
    Phone(0.5, 0.6, "sp"),
]
# decimals of the tables
WRITTEN = 2e-5


def _label(folder: Path, name: str, phones: list[Phone] = PHONES) -> None:
    write_textgrid(folder / f"{name}.TextGrid", alignment_of(phones, "textgrid"), SECONDS)


@pytest.fixture
def test_folder(tmp_path: Path) -> Path:
    """Three samples of an experiment, two of them labelled, by id and by Sample_ID."""
    folder = make_experiment(tmp_path / "experiments")
    _label(tmp_path / "labels", "utt-0")
    _label(tmp_path / "labels", "sample_1")
    return folder


def _run(program, tmp_path: Path, *more: str) -> int:
    places = ["--experiment_tag", "XP", "--root", str(tmp_path / "experiments")]
    return int(program.main([*places, "--jobs", "1", *more]))


def _labels(tmp_path: Path) -> tuple[str, str]:
    return "--textgrids", str(tmp_path / "labels")


def _table(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / name, keep_default_na=False, na_values=[""])


def test_segments_say_what_is_where_and_beside_what(test_folder, tmp_path):
    assert _run(ph_retrieve, tmp_path, *_labels(tmp_path)) == 0
    table = _table(test_folder, "phonemes/segments.csv")
    assert list(table["Sample_ID"].unique()) == ["sample_0", "sample_1"]
    first = table[table["id"] == "utt-0"]
    assert list(first["phone"]) == ["AA1", "T", "IY0", "N"]
    assert list(first["class"]) == ["open", "plosive", "close", "nasal"]
    assert list(first["preceding"]) == ["sil", "AA1", "T", "IY0"]
    assert list(first["following"]) == ["T", "IY0", "N", "sil"]
    assert list(first["start_s"]) == [0.1, 0.2, 0.3, 0.4]
    assert first["duration_s"].to_numpy() == pytest.approx(0.1)
    lost = _table(test_folder, "phonemes/failures.csv")
    assert list(lost["Sample_ID"]) == ["sample_2"]
    assert "no TextGrid of its name, no phones in the manifest, no transcript" in lost["Reason"][0]
    assert (test_folder / "phonemes" / "sample_1.TextGrid").is_file()


def test_unmapped_phones_are_reported_with_counts(test_folder, tmp_path, caplog):
    odd = [Phone(0.1, 0.2, "qq"), Phone(0.2, 0.3, "T"), Phone(0.3, 0.4, "qq")]
    _label(tmp_path / "labels", "sample_1", odd)
    with caplog.at_level(logging.WARNING):
        assert _run(ph_retrieve, tmp_path, *_labels(tmp_path)) == 0
    assert "labels in no class, not counted: qq (2)" in caplog.text
    unmapped = _table(test_folder, "phonemes/unmapped.csv")
    assert unmapped.to_dict("records") == [{"phone": "qq", "count": 2, "duration_s": 0.2}]
    table = _table(test_folder, "phonemes/segments.csv")
    assert (table["class"] == "unmapped").sum() == 2


def test_published_command_lines_cut_and_judge(test_folder, tmp_path):
    common = ["--testset", "test", "--phoneme", "all", "--loss", "XP"]
    places = ["--root", str(tmp_path / "experiments"), *_labels(tmp_path), "--jobs", "1"]
    for program, more in (("ph_retrieve", ["--signal_type", "all"]), ("ph_eval", [])):
        run(ROOT / "src/evaluation" / f"{program}.py", *more, *common, *places)
    joined, rate = sf.read(test_folder / "phonemes" / "est" / "plosive.wav")
    assert rate == SAMPLE_RATE
    pieces = [
        sf.read(test_folder / name / "estimate.wav")[0][3200:4800]
        for name in ("sample_0", "sample_1")
    ]
    assert np.array_equal(joined, np.concatenate(pieces))
    assert sorted(path.name for path in (test_folder / "phonemes").iterdir() if path.is_dir()) == [
        "clean",
        "est",
        "mix",
        "noise",
    ]
    assert len(sf.read(test_folder / "phonemes" / "clean" / "vowel.wav")[0]) == 4 * 1600
    table = _table(test_folder, "metrics/metrics_by_phoneme.csv")
    assert list(table.columns[:11]) == [
        "testset",
        "loss",
        "phoneme",
        "si-sir_in",
        "si-sir_out",
        "si-sar_out",
        "si-sdr_out",
        "fw-si-sir_in",
        "fw-si-sir_out",
        "fw-si-sar_out",
        "fw-si-sdr_out",
    ]
    assert set(table["loss"]) == {"XP"}
    assert len(table) == 15
    # no phone of a class: a row that says so
    tap = table.set_index("phoneme").loc["tap"]
    assert tap["segments"] == 0
    assert tap.isna().sum() > 10


def test_a_class_that_is_everything_has_the_metrics_of_the_utterance(test_folder, tmp_path):
    for name in ("utt-0", "sample_1"):
        _label(tmp_path / "labels", name, [Phone(0.0, SECONDS, "a")])
    names = ["si_sdr", "si_sir", "fw_sdr", "seg_snr", "lsd", "stoi"]
    assert _run(ph_eval, tmp_path, *_labels(tmp_path), "--metrics", *names) == 0
    table = _table(test_folder, "metrics/metrics_by_sample_phoneme.csv")
    for row in table[table["phoneme"] == "vowel"].to_dict("records"):
        signals = {
            name: torch.from_numpy(sf.read(test_folder / row["Sample_ID"] / f"{name}.wav")[0])[None]
            for name in ("estimate", "speech", "noise", "mixture")
        }
        for name in names:
            metric = get_metric(name)
            for side, judged in (("out", "estimate"), ("in", "mixture")):
                expected = metric(
                    signals[judged], signals["speech"], signals["noise"], sample_rate=SAMPLE_RATE
                )
                bare = f"{metric.label}_{side}" in row
                column = f"{metric.label}_{side}" if bare else metric.label
                if expected.isnan():
                    assert np.isnan(row[column])
                else:
                    assert row[column] == pytest.approx(float(expected), rel=1e-4, abs=WRITTEN)


def test_distortion_of_one_phone_is_in_its_class_only(test_folder, tmp_path):
    draw = np.random.default_rng(0)
    for name in ("sample_0", "sample_1"):
        speech, _ = sf.read(test_folder / name / "speech.wav")
        estimate = speech + 1e-4 * draw.standard_normal(len(speech))
        estimate[3200:4800] += 0.1 * draw.standard_normal(1600)  # the plosive
        sf.write(test_folder / name / "estimate.wav", estimate, SAMPLE_RATE, subtype="FLOAT")
    assert _run(ph_eval, tmp_path, *_labels(tmp_path), "--metrics", "si_sdr", "snr") == 0
    table = _table(test_folder, "metrics/metrics_by_phoneme.csv").set_index("phoneme")
    snr = table["snr_out"].dropna()
    assert snr["plosive"] < 20
    assert snr[["open", "close", "nasal"]].min() > snr["plosive"] + 15
    segments = _table(test_folder, "metrics/phoneme_segments.csv")
    worst = segments.groupby("Sample_ID")["SNR_out"].idxmin()
    assert set(segments.loc[worst, "phone"]) == {"T"}
    assert (test_folder / "figures" / "phonemes.png").stat().st_size > 10000
    numbers = _table(test_folder, "figures/phonemes.csv")
    assert {"phoneme", "metric", "side", "mean", "standard_error", "utterances"} == set(numbers)


def test_means_over_segments_and_over_utterances_with_counts(test_folder, tmp_path):
    _label(tmp_path / "labels", "sample_1", PHONES[:2])  # one vowel instead of two
    assert _run(ph_eval, tmp_path, *_labels(tmp_path), "--metrics", "snr", "--no_figure") == 0
    summary = _table(test_folder, "metrics/phoneme_summary.csv")
    row = summary[(summary["phoneme"] == "vowel") & (summary["figure"] == "snr_out")].iloc[0]
    segments = _table(test_folder, "metrics/phoneme_segments.csv")
    vowels = segments[segments["class"].isin(["open", "close"])]
    assert (row["utterances"], row["segments"]) == (2, 3)
    assert row["mean_over_segments"] == pytest.approx(vowels["SNR_out"].mean(), abs=1e-3)
    by_class = _table(test_folder, "metrics/metrics_by_sample_phoneme.csv")
    mine = by_class[by_class["phoneme"] == "vowel"]
    assert row["mean_over_utterances"] == pytest.approx(mine["SNR_out"].mean(), abs=1e-3)
    assert row["mean_over_utterances"] != pytest.approx(row["mean_over_segments"], abs=1e-3)
    # improvement over the mixture
    assert mine["Delta_SNR"].to_numpy() == pytest.approx(mine["SNR_out"] - mine["SNR_in"], abs=1e-3)


def test_a_second_run_does_only_what_is_new(test_folder, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        assert _run(ph_eval, tmp_path, *_labels(tmp_path), "--metrics", "snr", "--no_figure") == 0
        assert "2 utterances, 2 to score" in caplog.text
        first = (test_folder / "metrics" / "phoneme_segments.csv").read_bytes()
        caplog.clear()
        # the options of the first run are remembered
        assert _run(ph_eval, tmp_path, "--metrics", "snr", "--no_figure") == 0
        assert "2 utterances, 0 to score" in caplog.text
        assert (test_folder / "metrics" / "phoneme_segments.csv").read_bytes() == first
        caplog.clear()
        estimate = test_folder / "sample_1" / "estimate.wav"
        sf.write(estimate, 0.5 * sf.read(estimate)[0], SAMPLE_RATE, subtype="FLOAT")
        assert _run(ph_eval, tmp_path, "--metrics", "snr", "--no_figure") == 0
        assert "2 utterances, 1 to score" in caplog.text
        caplog.clear()
        _label(tmp_path / "labels", "utt-0", PHONES[:3])
        assert _run(ph_eval, tmp_path, "--metrics", "snr", "lsd", "--no_figure") == 0
        assert "2 utterances, 2 to score" in caplog.text


def test_remembered_folders_that_are_gone_are_told_and_can_be_replaced(
    test_folder, tmp_path, capsys
):
    assert _run(ph_retrieve, tmp_path, *_labels(tmp_path)) == 0
    (tmp_path / "labels").rename(tmp_path / "moved")
    assert _run(ph_retrieve, tmp_path) == 1
    error = capsys.readouterr().err
    assert "no folder of TextGrids" in error
    assert "options.json: give another, or delete that file" in error
    assert _run(ph_retrieve, tmp_path, "--textgrids", str(tmp_path / "moved")) == 0
    assert _run(ph_retrieve, tmp_path) == 0
    (test_folder / "phonemes" / "options.json").write_text('{"sauce": 1}', encoding="utf-8")
    assert _run(ph_retrieve, tmp_path) == 1
    assert "is damaged, delete it" in capsys.readouterr().err


def test_one_bad_file_costs_only_its_own_figures(test_folder, tmp_path):
    _label(tmp_path / "labels", "sample_2")
    (test_folder / "sample_1" / "estimate.wav").write_bytes(b"no audio")
    noise = test_folder / "sample_2" / "noise.wav"
    sf.write(noise, sf.read(noise)[0][:-100], SAMPLE_RATE, subtype="FLOAT")
    assert (
        _run(ph_eval, tmp_path, *_labels(tmp_path), "--metrics", "si_sdr", "si_sir", "--no_figure")
        == 0
    )
    table = _table(test_folder, "metrics/metrics_by_sample_phoneme.csv")
    known = table[table["phoneme"] == "vowel"].set_index("Sample_ID")
    assert known["SI-SDR_out"].notna().to_list() == [True, False, True]
    assert known["SI-SIR_out"].notna().to_list() == [True, False, False]
    assert known["SI-SDR_in"].notna().all()
    failures = _table(test_folder, "metrics/phoneme_failures.csv")
    reasons = failures.set_index(["Sample_ID", "Metric"])["Reason"]
    assert "estimate.wav cannot be read" in reasons["sample_1", "SI-SDR_out"]
    assert "samples for estimate, speech, noise" in reasons["sample_2", "SI-SIR_out"]


def test_one_bad_file_costs_the_joined_classes_only_its_own_part(test_folder, tmp_path):
    _label(tmp_path / "labels", "sample_2")
    arguments = [*_labels(tmp_path), "--method", "concatenated", "--metrics", "si_sdr", "si_sir"]
    labels = [tmp_path / "labels" / f"{name}.TextGrid" for name in ("sample_1", "sample_2")]
    kept = [path.read_bytes() for path in labels]
    for path in labels:
        path.unlink()
    assert _run(ph_eval, tmp_path, *arguments) == 0
    name = "metrics/metrics_by_phoneme_concatenated.csv"
    alone = _table(test_folder, name).set_index("phoneme")
    for path, content in zip(labels, kept, strict=True):
        path.write_bytes(content)
    (test_folder / "sample_1" / "estimate.wav").write_bytes(b"no audio")
    noise = test_folder / "sample_2" / "noise.wav"
    sf.write(noise, sf.read(noise)[0][:-100], SAMPLE_RATE, subtype="FLOAT")
    assert _run(ph_eval, tmp_path, *arguments) == 0
    table = _table(test_folder, name).set_index("phoneme")
    # sample_0 alone has all three signals
    assert table.loc["vowel", "si-sir_out"] == pytest.approx(alone.loc["vowel", "si-sir_out"])
    assert table["si-sdr_out"].notna().sum() == alone["si-sdr_out"].notna().sum() > 3
    failures = _table(test_folder, "metrics/phoneme_failures.csv")
    joined = failures[failures["Method"] == "concatenated"].set_index(["Sample_ID", "Metric"])
    reason = joined.loc[("sample_1", "SI-SDR_out"), "Reason"]
    assert reason.startswith("left out: estimate.wav cannot be read")
    assert "lengths differ" in joined.loc[("sample_2", "SI-SIR_out"), "Reason"]
    assert ("sample_2", "SI-SDR_out") not in joined.index


def test_cuts_of_all_signals_stay_together(test_folder, tmp_path, caplog):
    (test_folder / "sample_1" / "estimate.wav").unlink()
    assert _run(ph_retrieve, tmp_path, *_labels(tmp_path), "--signal_type", "all") == 0
    folder = test_folder / "phonemes"
    cuts = {kind: sf.read(folder / kind / "vowel.wav")[0] for kind in ("clean", "mix", "est")}
    parts = [
        sf.read(test_folder / "sample_0" / "speech.wav")[0][at : at + 1600] for at in (1600, 4800)
    ]
    assert np.array_equal(cuts["clean"], np.concatenate(parts))
    assert {len(cut) for cut in cuts.values()} == {3200}
    assert "sample_1 is left out of the joined signals: there is no estimate.wav" in caplog.text


def test_concatenated_is_the_metric_of_the_joined_segments(test_folder, tmp_path):
    arguments = ["--method", "concatenated", "--metrics", "si_sdr", "pesq_wb"]
    assert _run(ph_eval, tmp_path, *_labels(tmp_path), *arguments) == 0
    name = "metrics/metrics_by_phoneme_concatenated.csv"
    table = _table(test_folder, name).set_index("phoneme")
    joined = [
        np.concatenate(
            [
                sf.read(test_folder / sample / f"{signal}.wav")[0][start : start + 1600]
                for sample in ("sample_0", "sample_1")
                for start in (1600, 4800)
            ]
        )
        for signal in ("estimate", "speech")
    ]
    estimate, speech = (torch.from_numpy(one)[None] for one in joined)
    expected = float(get_metric("si_sdr")(estimate, speech, sample_rate=SAMPLE_RATE))
    assert table.loc["vowel", "si-sdr_out"] == pytest.approx(expected, abs=1e-3)
    assert table.loc["vowel", "segments"] == 4
    # 0.2 s of nasals is too short for PESQ
    failures = _table(test_folder, "metrics/phoneme_failures.csv")
    why = failures[(failures["phoneme"] == "nasal") & (failures["Metric"] == "PESQ")]["Reason"]
    assert "shorter than 0.25 s" in why.iloc[0]
    assert not (test_folder / "metrics" / "metrics_by_phoneme.csv").exists()
    arguments = ["--method", "both", "--variant", "published", "--metrics", "si_sdr", "pesq_wb"]
    assert _run(ph_eval, tmp_path, *arguments, "--phoneme", "vowel", "nasal") == 0
    assert list(_table(test_folder, name)["phoneme"]) == ["nasal", "vowel"]
    assert set(_table(test_folder, name)["method"]) == {"concatenated, published"}
    assert "si-sdr_out" in _table(test_folder, "metrics/metrics_by_phoneme.csv")


def test_phone_times_of_a_manifest_reach_the_table(test_folder, tmp_path):
    samples = _table(test_folder, "samples.csv")
    times = [[0.1, 0.2, "AA1"], [0.5, 0.9, "S"]]
    samples["phones"] = [json.dumps(times), None, json.dumps([[5.0, 6.0, "S"]])]
    samples.to_csv(test_folder / "samples.csv", index=False)
    assert _run(ph_retrieve, tmp_path) == 0
    table = _table(test_folder, "phonemes/segments.csv")
    assert list(table["end_s"]) == [0.2, 0.6]
    about = _table(test_folder, "phonemes/alignments.csv")
    assert list(about["source"]) == ["manifest"]
    assert "ends at 0.90 s, the audio at 0.60 s" in about["notes"][0]
    lost = _table(test_folder, "phonemes/failures.csv").set_index("Sample_ID")["Reason"]
    assert "it is of another recording" in lost["sample_2"]


def test_labels_of_a_manifest_go_with_the_samples(tmp_path):
    grid = "labels/one.TextGrid"
    (tmp_path / "labels").mkdir()
    _label(tmp_path / "labels", "one")
    phones = [[0.0, 0.5, "AA1"]]
    manifest = make_manifest(tmp_path, n_items=1, textgrid=grid, phones=phones)
    (item,) = read_manifest(manifest)
    (facts,) = MixtureDataset([item], sample_rate=SAMPLE_RATE).items
    for known in (facts._asdict(), facts_of(item)):
        assert known["textgrid"] == str(tmp_path / grid)
        assert json.loads(str(known["phones"])) == phones
        assert known["transcript"] == "the birch canoe slid on the smooth planks"


def test_names_that_look_like_missing_values_are_names(test_folder, tmp_path):
    samples = _table(test_folder, "samples.csv")
    samples["id"] = ["NA", "null", "nan"]
    samples.to_csv(test_folder / "samples.csv", index=False)
    for name in samples["id"]:
        _label(tmp_path / "labels", name, [Phone(0.1, 0.2, "AA1"), Phone(0.2, 0.3, "N")])
    assert _run(ph_eval, tmp_path, *_labels(tmp_path), "--metrics", "snr", "--no_figure") == 0
    for name in ("phonemes/segments.csv", "metrics/phoneme_segments.csv"):
        table = pd.read_csv(test_folder / name, dtype=str, keep_default_na=False)
        assert list(table["id"].unique()) == ["NA", "null", "nan"]
    for phones in read_segments(TestSet(test_folder)).values():
        assert [phone.label for phone in phones] == ["AA1", "N"]


def test_sampa_and_arpabet_of_one_recording_give_one_table(test_folder, tmp_path):
    tables = []
    for gap, labels in (("", "TH AH0 IY1 N"), ("<p:>", "T V i: n")):
        times = [Phone(0.0, 0.1, gap)]
        times += [Phone(n / 10, (n + 1) / 10, x) for n, x in enumerate(labels.split(), start=1)]
        _label(tmp_path / "labels", "utt-0", times)
        _label(tmp_path / "labels", "sample_1", times)
        assert _run(ph_retrieve, tmp_path, *_labels(tmp_path)) == 0
        tables.append(_table(test_folder, "phonemes/segments.csv"))
    assert list(tables[0]["class"]) == ["fricative", "open-mid", "close", "nasal"] * 2
    columns = ["Sample_ID", "class", "start_s", "end_s"]
    pd.testing.assert_frame_equal(tables[0][columns], tables[1][columns])
    assert list(tables[1]["preceding"][:2]) == ["sil", "T"]


def test_textgrids_pair_as_the_montreal_forced_aligner_leaves_them(test_folder, tmp_path):
    samples = _table(test_folder, "samples.csv")
    samples["id"] = ["test-0", "test-1", "test-2"]
    samples["speech_file"] = ["corpus/ann/0001.flac", "corpus/bob/0001.flac", "corpus/bob/2.flac"]
    samples.to_csv(test_folder / "samples.csv", index=False)
    labels = tmp_path / "mfa"
    for speaker, name, phones in (
        ("ann", "0001", [Phone(0.0, SECONDS, "AA1")]),
        ("bob", "0001", [Phone(0.0, SECONDS, "N")]),
        ("bob", "2", [Phone(0.0, 2.0, "N")]),
    ):
        _label(labels / speaker, name, phones)
    assert _run(ph_retrieve, tmp_path, "--textgrids", str(labels)) == 0
    table = _table(test_folder, "phonemes/segments.csv")
    assert list(zip(table["id"], table["phone"], strict=True)) == [
        ("test-0", "AA1"),
        ("test-1", "N"),
    ]
    (reason,) = _table(test_folder, "phonemes/failures.csv")["Reason"]
    assert "2.TextGrid lasts 2.00 s, the speech 0.60 s" in reason  # an excerpt of the recording
    # over folders of mixtures, as make_mixtures lays them out
    for phone, name in (("S", "speech_mic1"), ("Z", "speech_mic2"), ("T", "noise_mic1")):
        _label(labels / "test-0", name, [Phone(0.1, 0.5, phone)])
    assert _run(ph_retrieve, tmp_path) == 0
    table = _table(test_folder, "phonemes/segments.csv")
    assert list(table.loc[table["id"] == "test-0", "phone"]) == ["S"]


def test_recordings_that_the_manifest_names_reach_the_table(tmp_path):
    manifest = make_manifest(tmp_path, n_items=2, speech_files=["ann/0001.flac"])
    items = read_manifest(manifest)
    facts = MixtureDataset(items, sample_rate=SAMPLE_RATE).items
    for known in (*(fact._asdict() for fact in facts), *map(facts_of, items)):
        assert known["speech_file"] == "ann/0001.flac"
    joined = make_manifest(tmp_path / "joined", n_items=1, speech_files=["a.flac", "b.flac"])
    assert facts_of(read_manifest(joined)[0])["speech_file"] is None


def test_textgrids_and_transcripts_of_nobody_are_refused(test_folder, tmp_path, capsys):
    _label(tmp_path / "others", "take1", PHONES)
    assert _run(ph_retrieve, tmp_path, "--textgrids", str(tmp_path / "others")) == 1
    error = capsys.readouterr().err
    assert "belongs to a sample: TextGrids are take1.TextGrid; samples are utt-0, utt-1" in error
    texts = tmp_path / "texts.csv"
    texts.write_text("id,transcript\ntake1,yes\n", encoding="utf-8")
    assert _run(ph_retrieve, tmp_path, "--transcripts", str(texts)) == 1
    assert "its ids are take1; samples are utt-0, utt-1" in capsys.readouterr().err


def test_a_failed_run_leaves_the_results_of_the_one_before(test_folder, tmp_path, capsys):
    arguments = [*_labels(tmp_path), "--metrics", "snr", "--no_figure"]
    assert _run(ph_eval, tmp_path, *arguments) == 0
    files = [*(test_folder / "phonemes").iterdir(), *(test_folder / "metrics").glob("metrics_*")]
    before = {path: path.read_bytes() for path in files if path.is_file()}
    assert len(before) > 6
    (tmp_path / "late").mkdir()
    for name in ("utt-0", "sample_1"):  # wholly behind the audio
        _label(tmp_path / "late", name, [Phone(5.0, 6.0, "AA1")])
    late = ["--textgrids", str(tmp_path / "late")]
    assert _run(ph_eval, tmp_path, *late, "--metrics", "snr") == 1
    assert "has a phone within its audio" in capsys.readouterr().err
    for path in test_folder.glob("sample_*/estimate.wav"):
        path.write_bytes(b"no audio")
    for path in test_folder.glob("sample_*/mixture.wav"):
        path.unlink()
    assert _run(ph_eval, tmp_path, *arguments) == 1
    assert "no value could be computed" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before
    reasons = _table(test_folder, "metrics/phoneme_failures.csv")["Reason"]
    assert reasons.str.contains("estimate.wav cannot be read").any()


def test_another_systems_folder_is_judged_alike(test_folder, tmp_path):
    signals = {}
    for index in range(3):
        signals = dict(
            zip(
                ("mixtures", "targets", "noises"),
                (part[0] for part in make_mixture(SECONDS, n_mics=1, seed=index)),
                strict=True,
            )
        )
        for name, signal in {**signals, "other": 0.5 * signals["targets"]}.items():
            (tmp_path / name).mkdir(exist_ok=True)
            sf.write(tmp_path / name / f"utt-{index}.wav", signal, SAMPLE_RATE, subtype="FLOAT")
    arguments = ["--estimates", str(tmp_path / "other"), "--jobs", "1", *_labels(tmp_path)]
    for name in ("mixtures", "targets", "noises"):
        arguments += [f"--{name}", str(tmp_path / name)]
    assert ph_eval.main([*arguments, "--metrics", "si_sdr", "si_sir", "--no_figure"]) == 0
    table = _table(tmp_path / "other_results", "metrics/metrics_by_phoneme.csv")
    assert set(table["loss"]) == {"other"}
    plosive = table.set_index("phoneme").loc["plosive"]
    assert plosive["si-sdr_out"] > 100
    assert plosive["utterances"] == 1  # utt-0 has labels of that name


def test_without_mixtures_and_noise_what_needs_neither_is_judged(test_folder, tmp_path):
    for name in ("estimate", "speech"):
        (tmp_path / name).mkdir()
        signal, rate = sf.read(test_folder / "sample_0" / f"{name}.wav")
        sf.write(tmp_path / name / "utt-0.wav", signal, rate, subtype="FLOAT")
    arguments = ["--estimates", str(tmp_path / "estimate"), "--targets", str(tmp_path / "speech")]
    more = ["--metrics", "si_sdr", "si_sir", "--jobs", "1", *_labels(tmp_path)]
    assert ph_eval.main([*arguments, *more]) == 0
    folder = tmp_path / "estimate_results"
    table = _table(folder, "metrics/metrics_by_phoneme.csv").set_index("phoneme")
    assert "si-sdr_in" not in table
    assert np.isfinite(table.loc["plosive", "si-sdr_out"])
    failures = _table(folder, "metrics/phoneme_failures.csv")
    assert failures[["Metric", "Reason"]].to_numpy().tolist() == [
        ["SI-SIR_out", "there is no noise"]
    ]
    assert (folder / "figures" / "phonemes.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--metrics", "pesq_wb"], "cannot be pooled"),
        (["--variant", "published"], "has no pooled form"),
        (["--phoneme", "plosives"], "no class or group of phones 'plosives'"),
        (["--textgrids", "/none"], "no folder of TextGrids /none"),
        (["--source", "manifest"], "no sample of"),
        (["--testset", "other"], "no test set 'other'"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(test_folder, tmp_path, capsys, arguments, message):
    assert _run(ph_eval, tmp_path, *arguments) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("ph_eval: error: ")
    assert message in error


@pytest.mark.parametrize("program", [ph_eval, ph_retrieve])
def test_help_and_wrong_usage(program, capsys):
    with pytest.raises(SystemExit) as done:
        program.main(["--help"])
    assert done.value.code == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("--loss", "--estimates", "--textgrids", "--phoneme"))
    for arguments in ([], ["--loss", "a", "--jobs", "0"], ["--loss", "a", "--what"]):
        with pytest.raises(SystemExit) as done:
            program.main(arguments)
        assert done.value.code == 2
