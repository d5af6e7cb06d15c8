"""From a tag to folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.testset.experiment import find_experiment, natural_key
from tests.evaluation.folder import make_experiment, make_sample


def test_the_root_is_given_or_in_the_environment_or_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("given", "environment", "here/experiments"):
        (tmp_path / place / "XP").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    assert find_experiment("XP").folder == Path("experiments/XP")
    monkeypatch.setenv("SELOSS_EXPERIMENTS", str(tmp_path / "environment"))
    assert find_experiment("XP").folder == tmp_path / "environment" / "XP"
    assert find_experiment("XP", tmp_path / "given").folder == tmp_path / "given" / "XP"


def test_what_is_not_there_is_said_with_what_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"give --root or set SELOSS_EXPERIMENTS"):
        find_experiment("XP", tmp_path / "nowhere")
    for index in range(12):
        (tmp_path / f"XP{index:02}").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no experiment 'YP' .* XP00, .*\(12 in all\)"):
        find_experiment("YP", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"best_model\.pth: train 'XP00' first"):
        _ = find_experiment("XP00", tmp_path).checkpoint
    with pytest.raises(FileNotFoundError, match=r"run evaluation\.infer first"):
        find_experiment("XP00", tmp_path).testset()


@pytest.mark.parametrize("tag", ["..", "../XP", "a/b", "", ".hidden", "/tmp"])
def test_a_tag_is_a_plain_name(tmp_path: Path, tag: str) -> None:
    with pytest.raises(ValueError, match="plain name"):
        find_experiment(tag, tmp_path)


def test_test_sets_are_found_by_name_or_because_there_is_one(tmp_path: Path) -> None:
    make_experiment(tmp_path, n_samples=1)
    experiment = find_experiment("XP", tmp_path)
    assert experiment.testset().name == "test"
    make_experiment(tmp_path, n_samples=1, testset="unseen")
    assert [one.name for one in experiment.testsets()] == ["test", "unseen"]
    assert experiment.testset("unseen").name == "unseen"
    with pytest.raises(FileNotFoundError, match=r"several test sets .* test, unseen"):
        experiment.testset()
    with pytest.raises(FileNotFoundError, match=r"no test set 'dev' .* test, unseen"):
        experiment.testset("dev")


def test_samples_come_in_natural_order_with_or_without_a_table(tmp_path: Path) -> None:
    folder = make_experiment(tmp_path, n_samples=2)
    testset = find_experiment("XP", tmp_path).testset()
    text = (folder / "samples.csv").read_text().splitlines()
    (folder / "samples.csv").write_text(
        "\n".join([text[0], "sample_10,NA,010,pink,1,True", text[2], text[1]])
    )
    table = testset.samples()
    assert list(table["Sample_ID"]) == ["sample_0", "sample_1", "sample_10"]
    assert list(table["speaker"]) == ["00", "01", "010"]
    assert list(table["id"]) == ["utt-0", "utt-1", "NA"]
    (folder / "samples.csv").unlink()
    make_sample(folder / "sample_10", 5)
    assert list(testset.samples()["id"]) == ["sample_0", "sample_1", "sample_10"]


def test_a_sample_is_found_by_id_name_or_number(tmp_path: Path) -> None:
    make_experiment(tmp_path, n_samples=2)
    testset = find_experiment("XP", tmp_path).testset()
    assert {testset.find_sample(name) for name in ("utt-1", "sample_1", "1")} == {"sample_1"}
    with pytest.raises(ValueError, match=r"no sample '7' .* utt-0, utt-1"):
        testset.find_sample("7")


def test_natural_order() -> None:
    names = ["s10", "s2", "s1b", "s1", "t0"]
    assert sorted(names, key=natural_key) == ["s1", "s1b", "s2", "s10", "t0"]
