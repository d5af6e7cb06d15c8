"""The program: which systems, which units are paired, what is written and marked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
from scipy import stats

from evaluation.compare import cli as compare
from tests.data import SAMPLE_RATE

N = 12
DRAWS = ["--draws", "400"]


def make_system(
    root: Path, tag: str, shift: float = 0.0, *, n: int = N, spread: float = 0.2, seed: int = 0
) -> Path:
    """Write a judged test set: SI-SDR and LSD follow a level per utterance and the shift."""
    folder = root / tag / "test"
    base = np.random.default_rng(99).normal(5.0, 3.0, n)
    draw = np.random.default_rng([seed, len(tag), *tag.encode()])
    noise = np.random.default_rng(4).standard_normal((n, 2, 160)).astype(np.float32)
    rows = []
    for index in range(n):
        sample = folder / f"sample_{index}"
        sample.mkdir(parents=True)
        for name, signal in zip(("speech", "mixture"), noise[index], strict=True):
            sf.write(sample / f"{name}.wav", signal, SAMPLE_RATE, subtype="FLOAT")
        rows.append(
            {
                "Sample_ID": f"sample_{index}",
                "id": f"utt-{index}",
                "speaker": f"{index % 3}",
                "noise_type": ("rain", "dog")[index % 2],
                "SI-SDR_in": base[index] - 5,
                "SI-SDR_out": base[index] + shift + spread * draw.standard_normal(),
                "LSD_out": 10 - base[index] - shift + spread * draw.standard_normal(),
                "Delta_SI-SDR": 5 + shift,
            }
        )
    table = pd.DataFrame(rows)
    (folder / "metrics").mkdir()
    table.to_csv(folder / "metrics" / "metrics_by_sample.csv", index=False)
    known = table[["Sample_ID", "id", "speaker", "noise_type"]]
    known.to_csv(folder / "samples.csv", index=False)
    return folder


def make_segments(folder: Path, shift: float) -> None:
    """Write phones of every utterance: plosives gain `shift`, vowels nothing."""
    draw = np.random.default_rng([7, len(folder.parent.name)])
    rows = []
    for index in range(N):
        for place, (phone, of_class) in enumerate((("AA", "open"), ("P", "plosive")) * 3):
            gain = shift if of_class == "plosive" else 0.0
            rows.append(
                {
                    "Sample_ID": f"sample_{index}",
                    "id": f"utt-{index}",
                    "speaker": f"{index % 3}",
                    "phone": phone,
                    "class": of_class,
                    "start_s": 0.1 * place,
                    "end_s": 0.1 * place + 0.1,
                    "SI-SDR_out": index + gain + 0.3 * draw.standard_normal(),
                }
            )
    pd.DataFrame(rows).to_csv(folder / "metrics" / "phoneme_segments.csv", index=False)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SELOSS_EXPERIMENTS", str(tmp_path / "xp"))
    monkeypatch.chdir(tmp_path)
    for tag, shift in (("A", 0.0), ("B", 1.0), ("C", 1.02)):
        make_system(tmp_path / "xp", tag, shift)
    return tmp_path


def run(*arguments: str) -> int:
    return compare.main([*arguments, *DRAWS])


def read(root: Path, name: str = "differences.csv") -> pd.DataFrame:
    return pd.read_csv(root / "comparison" / name, keep_default_na=False, na_values=["nan"])


def test_the_figures_are_those_of_scipy_on_the_tables(root: Path) -> None:
    assert run("A", "B", "C") == 0
    tests = read(root).set_index(["metric", "system"])
    tables = {
        tag: pd.read_csv(root / "xp" / tag / "test" / "metrics" / "metrics_by_sample.csv")
        for tag in "ABC"
    }
    assert len(tests) == 4  # two metrics; neither the mixture's figures nor improvements
    for metric in ("SI-SDR_out", "LSD_out"):
        for tag in "BC":
            gaps = tables[tag][metric] - tables["A"][metric]
            row = tests.loc[metric, tag]
            assert float(row["difference"]) == pytest.approx(gaps.mean(), abs=1e-5)
            assert float(row["p"]) == pytest.approx(stats.wilcoxon(gaps).pvalue, rel=1e-4)
            assert float(row["d_z"]) == pytest.approx(gaps.mean() / gaps.std(), rel=1e-4)
            assert float(row["ci_low"]) < gaps.mean() < float(row["ci_high"])
            assert row["baseline"] == "A"
            assert row["better"] == tag  # lower log-spectral distance is better
    means = read(root, "means.csv").set_index(["metric", "system"])
    expected = tables["B"]["SI-SDR_out"].mean()
    assert float(means.loc[("SI-SDR_out", "B"), "mean"]) == pytest.approx(expected, rel=1e-5)


def test_all_files_are_there_and_marks_need_significance(root: Path) -> None:
    assert run("A", "B", "C", "--pairs", "all") == 0
    names = {path.name for path in (root / "comparison").iterdir()}
    assert names == {
        *("means.csv", "differences.csv", "tables.md", "tables.tex"),
        *("forest_utterance.png", "forest_utterance.csv"),
    }
    text = (root / "comparison" / "tables.md").read_text(encoding="utf-8")
    rows = {line.split(" | ")[0]: line for line in text.splitlines() if line.startswith("| ")}
    assert r"\*" not in rows["| A"]
    assert rows["| B"].count(r"\*") == rows["| C"].count(r"\*") == 2
    assert "**" not in rows["| B"] + rows["| C"]  # neither beats the other
    latex = (root / "comparison" / "tables.tex").read_text(encoding="utf-8")
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 2
    assert r"95 \% interval" in latex
    assert run("A", "B", "--alpha", "0.1") == 0
    text = (root / "comparison" / "tables.md").read_text(encoding="utf-8")
    assert "| 90 % interval |" in text
    assert "95 %" not in text
    assert run("A", "B") == 0
    text = (root / "comparison" / "tables.md").read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if line.startswith("| B |"))
    assert row.count("**") == 4
    assert r"\*" in row


def test_the_baseline_may_be_another(root: Path) -> None:
    assert run("A", "B", "C", "--baseline", "C") == 0
    tests = read(root)
    assert set(tests["baseline"]) == {"C"}
    assert (tests.loc[tests["system"] == "A", "better"] == "C").all()
    assert run("A", "B", "--baseline", "D") == 1


def test_another_test_set_is_refused(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_system(root / "xp", "short", n=N - 2)
    assert run("A", "short") == 1
    assert "only A has utt-10, utt-11 (2 in all)" in capsys.readouterr().err
    assert run("A", "short", "--common") == 0
    assert set(read(root)["n"]) == {N - 2}
    path = root / "xp" / "B" / "test" / "sample_3" / "mixture.wav"
    signal, rate = sf.read(path, dtype="float32")
    sf.write(path, signal + np.float32(0.01), rate, subtype="FLOAT")
    assert run("A", "B") == 1
    message = capsys.readouterr().err
    assert "mixture of 'utt-3' differs by up to 0.01" in message
    sf.write(path, signal[:-5], rate, subtype="FLOAT")
    assert run("A", "B") == 1
    assert "has 160 and 155 samples" in capsys.readouterr().err


def test_missing_figures_are_left_out_in_pairs_and_counted(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = root / "xp" / "B" / "test" / "metrics" / "metrics_by_sample.csv"
    table = pd.read_csv(path)
    table.loc[[1, 5], "SI-SDR_out"] = np.nan
    table.sample(frac=1.0, random_state=1).to_csv(path, index=False)  # order does not pair
    assert run("A", "B", "C") == 0
    tests = read(root).set_index(["metric", "system"])
    assert tests.loc[("SI-SDR_out", "B"), "n"] == N - 2
    assert tests.loc[("SI-SDR_out", "B"), "missing"] == 2
    assert tests.loc[("SI-SDR_out", "C"), "n"] == N
    means = read(root, "means.csv").set_index(["metric", "system"])
    assert set(means.loc["SI-SDR_out", "n"]) == {N - 2}  # what all have
    assert means.loc[("SI-SDR_out", "B"), "missing"] == 2
    assert means.loc[("SI-SDR_out", "A"), "missing"] == 0
    assert "up to 2 of 12 scores are missing" in caplog.text


def test_groups(root: Path) -> None:
    assert run("A", "B", "--by", "noise_type", "--metrics", "SI-SDR") == 0
    tests = read(root).set_index("group")
    assert list(tests.index) == ["all", "dog", "rain"]
    assert list(tests["n"]) == [12, 6, 6]
    assert run("A", "B", "--by", "seen") == 1


def test_what_else_is_looked_at_changes_no_p_value_over_everything(root: Path) -> None:
    """Groups once entered the correction: the same comparison had two answers."""
    for tag, shift in (("A", 0.0), ("B", 2.0)):
        make_segments(root / "xp" / tag / "test", shift)
    assert run("A", "B") == 0
    plain = read(root).set_index(["level", "metric", "class", "group"])
    assert run("A", "B", "--by", "noise_type") == 0
    grouped = read(root).set_index(["level", "metric", "class", "group"])
    assert len(grouped) > len(plain)
    assert (grouped.loc[plain.index, "p_adjusted"] == plain["p_adjusted"]).all()
    assert (grouped.loc[plain.index, "significant"] == plain["significant"]).all()
    assert set(plain["family"]) == {"overall", "classes"}
    assert set(grouped["family"]) == {"overall", "classes", "groups"}
    in_groups = grouped[grouped["family"] == "groups"].loc["utterance"]
    assert (in_groups["p_adjusted"] >= in_groups["p"]).all()
    assert "corrected in each family" in (root / "comparison" / "tables.md").read_text()


def test_phones_of_different_sources_are_named_as_the_cause(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for tag, source in (("A", "textgrid"), ("B", "aligner")):
        folder = root / "xp" / tag / "test"
        make_segments(folder, 0.0)
        path = folder / "metrics" / "phoneme_segments.csv"
        table = pd.read_csv(path)
        if tag == "B":
            table.loc[6:, ["start_s", "end_s"]] += 0.01
        table.to_csv(path, index=False)
        (folder / "phonemes").mkdir()
        (folder / "phonemes" / "alignments.csv").write_text(f"Sample_ID,source\ns,{source}\n")
    assert run("A", "B", "--levels", "phoneme") == 0
    assert "132 of 138 scores are missing" in caplog.text
    assert "(A: textgrid; B: aligner); run ph_eval on all systems with one --source" in caplog.text


def test_speakers_as_clusters_are_too_few_here(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert run("A", "B", "--cluster", "speaker") == 0
    tests = read(root)
    assert set(tests["clusters"]) == {3}
    assert not tests["significant"].any()
    assert "only 3 x speaker" in caplog.text
    assert set(tests["note"]) == {"only 3 x speaker: too few"}


def test_phoneme_classes(root: Path) -> None:
    for tag, shift in (("A", 0.0), ("B", 2.0)):
        make_segments(root / "xp" / tag / "test", shift)
    assert run("A", "B", "--levels", "phoneme") == 0
    tests = read(root).set_index("class")
    # the order of configs/phoneme-classes.json: the vowel came first
    assert list(tests.index) == ["all", "plosive", "open", "consonant", "vowel"]
    assert list(tests["n"]) == [72, 36, 36, 36, 36]
    assert set(tests["clusters"]) == {N}  # utterances, not phones
    assert tests.loc["plosive", "better"] == "B"
    assert tests.loc["vowel", "better"] == ""
    assert tests.loc["plosive", "difference"] == pytest.approx(2.0, abs=0.3)
    text = (root / "comparison" / "tables.md").read_text(encoding="utf-8")
    assert "**SI-SDR (dB) per phoneme class**" in text
    assert (root / "comparison" / "forest_phoneme.png").stat().st_size > 5000


def test_error_rates_are_those_of_the_corpus_and_lower_is_better(root: Path) -> None:
    words = np.arange(5, 5 + N)
    for tag, errors in (("A", words // 2), ("B", words // 4)):
        table = pd.read_csv(root / "xp" / tag / "test" / "samples.csv")
        table = table.assign(words=words, WER_out=100 * errors / words, WER_in=90.0)
        table.to_csv(root / "xp" / tag / "test" / "metrics" / "recognition_by_sample.csv")
    assert run("A", "B", "--levels", "recognition") == 0
    row = read(root).iloc[0]
    assert row["metric"] == "WER_out"
    expected = 100 * (words // 4).sum() / words.sum()  # not the mean of rates
    assert row["mean_system"] == pytest.approx(expected, rel=1e-5)
    assert row["better"] == "B"
    assert row["difference"] < 0


def test_seeds_of_one_configuration_are_gathered(root: Path) -> None:
    """Networks that differ by their seed as much as by configuration prove nothing."""
    for index, shift in enumerate((-3.0, 0.0, 3.5)):
        make_system(root / "xp", f"old{index}", shift)
        make_system(root / "xp", f"new{index}", shift + 0.5)
    old, new = (f"{name}=" + ",".join(f"{name}{i}" for i in range(3)) for name in ("old", "new"))
    assert run(old, new, "--metrics", "SI-SDR_out") == 0
    row = read(root).iloc[0]
    assert (row["seeds_system"], row["seeds_baseline"]) == (3, 3)
    assert row["std_of_seeds_baseline"] == pytest.approx(3.25, abs=0.2)
    assert row["difference"] == pytest.approx(0.5, abs=0.2)
    assert row["ci_low"] < -2
    assert row["p_adjusted"] < 0.05  # these six networks do differ, utterance by utterance
    assert not row["significant"]  # the configurations need not
    assert row["p_seeds"] > 0.5


def test_errors(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in (
        (["A"], "two or more systems"),
        (["A", "A"], "of different names; got A, A"),
        (["A", "none"], "no experiment 'none'"),
        (["A", "B=,C"], "expected TAG, a folder or NAME=TAG"),
        (["A", "B", "--metrics", "SDR"], "in all tables: SI-SDR_out, LSD_out"),
        (["A", "B", "--levels", "phoneme"], "run evaluation.ph_eval on A first"),
        (["A", "B", "--cluster", "room"], "no column 'room'"),
    ):
        assert run(*arguments) == 1
        assert message in capsys.readouterr().err
    for options, status in ((["--help"], 0), ([], 2), (["A", "B", "--alpha", "2"], 2)):
        with pytest.raises(SystemExit) as stop:
            compare.main(options)
        assert stop.value.code == status
