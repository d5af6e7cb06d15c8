from __future__ import annotations

import dataclasses
import json
import multiprocessing
from pathlib import Path

import pytest
import torch
import yaml

from seloss.train import ConfigError, Experiment, open_experiment, parse_recipe, plain
from seloss.train.options.parser import Parsed
from seloss.train.options.recipe import DataConfig, LossConfig, Recipe, TrainingConfig


def start(folder: Path, overwrite: bool = False, **options) -> Parsed[Recipe]:
    there = DataConfig(train_json=__file__, valid_json=__file__)  # only their presence counts here
    return Parsed(Recipe(**{"exp_dir": str(folder), "data": there, **options}), overwrite)


def trained(folder: Path) -> Path:
    """An experiment whose run has a checkpoint."""
    with open_experiment(start(folder)) as experiment:
        experiment.checkpoints.mkdir()
        torch.save({"global_step": 3}, experiment.checkpoints / "last.ckpt")
    return folder


def test_a_new_run_records_options_and_environment(tmp_path):
    parsed = start(tmp_path / "a")
    with open_experiment(parsed) as experiment:
        assert experiment.last is None
        assert yaml.safe_load(experiment.conf.read_text()) == plain(parsed.config)
    record = json.loads((tmp_path / "a" / "environment.json").read_text())
    assert record["seed"] == 42
    assert record["versions"]["torch"]
    assert record["command"]
    assert record["hardware"]["cpus"]
    assert len(record["commit"] or "0" * 40) == 40


def test_the_same_options_resume_and_the_environment_remembers_both_starts(tmp_path):
    trained(tmp_path / "a")
    with open_experiment(start(tmp_path / "a")) as experiment:
        assert experiment.last == tmp_path / "a" / "checkpoints" / "last.ckpt"
    record = json.loads((tmp_path / "a" / "environment.json").read_text())
    assert len(record["earlier_starts"]) == 1


def test_other_options_are_refused_by_name(tmp_path):
    trained(tmp_path / "a")
    before = (tmp_path / "a" / "conf.yml").read_bytes()
    other = start(tmp_path / "a", loss=LossConfig(scale="linear", gamma=0.5))
    with (
        pytest.raises(
            ConfigError, match=r"loss.gamma was 0.2, is 0.5; loss.scale was 'mel', is 'linear'"
        ),
        open_experiment(other),
    ):
        pass
    assert (tmp_path / "a" / "conf.yml").read_bytes() == before


def test_more_epochs_go_on(tmp_path):
    trained(tmp_path / "a")
    more = start(tmp_path / "a", training=TrainingConfig(epochs=300, num_workers=0))
    with open_experiment(more) as experiment:
        assert experiment.last
        assert yaml.safe_load(experiment.conf.read_text())["training"]["epochs"] == 300


def test_without_a_checkpoint_other_options_lose_nothing(tmp_path):
    with open_experiment(start(tmp_path / "a")):
        pass
    with open_experiment(start(tmp_path / "a", loss=LossConfig("xp1"))) as experiment:
        assert yaml.safe_load(experiment.conf.read_text())["loss"]["name"] == "xp1"


def test_overwrite_removes_the_run_and_keeps_the_logs(tmp_path):
    folder = trained(tmp_path / "a")
    (folder / "logs").mkdir()
    (folder / "logs" / "train.log").touch()
    (folder / "test" / "sample_0").mkdir(parents=True)
    with open_experiment(start(folder, overwrite=True, loss=LossConfig("xp1"))) as experiment:
        assert experiment.last is None
    left = {path.name for path in folder.iterdir()}
    assert left == {".lock", "logs", "conf.yml", "environment.json"}
    assert (folder / "logs" / "train.log").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_is_no_experiment_is_left_alone(tmp_path, overwrite):
    (tmp_path / "thesis.tex").touch()
    with (
        pytest.raises(ConfigError, match=r"holds thesis\.tex but no conf\.yml"),
        open_experiment(start(tmp_path, overwrite)),
    ):
        pass
    assert (tmp_path / "thesis.tex").exists()


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "a").touch()
    with (
        pytest.raises(ConfigError, match="is not a folder"),
        open_experiment(start(tmp_path / "a")),
    ):
        pass


def refused(folder: Path, error: type[Exception]) -> str:
    with pytest.raises(error) as caught, open_experiment(start(folder)):
        pass
    return str(caught.value)


def test_a_run_whose_last_checkpoint_is_lost_or_damaged_is_neither_resumed_nor_begun_again(
    tmp_path,
):
    folder = trained(tmp_path / "a")
    last, best = (folder / "checkpoints" / f"{name}.ckpt" for name in ("last", "epoch=0-step=3"))
    conf = (folder / "conf.yml").read_bytes()
    last.rename(best)
    assert f"last.ckpt is missing, so training cannot be resumed from it; {best.name} is good" in (
        refused(folder, ValueError)
    )
    last.write_bytes(best.read_bytes()[:100])
    assert f"cp {best} {last}" in refused(folder, ValueError)
    best.rename(last)  # as the message says
    with open_experiment(start(folder)) as experiment:
        assert experiment.last == last
    last.unlink()
    (folder / "history.csv").write_text("epoch,lr\n0,0.1\n1,0.1\n")
    assert "history.csv has 2 epochs, but" in refused(folder, ConfigError)
    assert (folder / "conf.yml").read_bytes() == conf
    with open_experiment(start(folder, overwrite=True)) as experiment:
        assert experiment.last is None


def test_an_epoch_killed_before_its_checkpoint_begins_again(tmp_path, caplog):
    with open_experiment(start(tmp_path / "a")):
        (tmp_path / "a" / "history.csv").write_text("epoch,lr\n0,0.1\n")
    with open_experiment(start(tmp_path / "a")) as experiment:
        assert experiment.last is None
    assert "starting again" in caplog.text


def _second(folder: str, answers) -> None:
    try:
        with open_experiment(start(Path(folder))):
            answers.put("opened")
    except ConfigError as error:
        answers.put(str(error))


def test_a_second_process_is_kept_out_until_the_first_ends(tmp_path):
    context = multiprocessing.get_context("fork")  # locks are not inherited
    answers = context.Queue()

    def ask() -> str:
        process = context.Process(target=_second, args=(str(tmp_path / "a"), answers))
        process.start()
        answer = answers.get(timeout=60)
        process.join()
        return answer

    with open_experiment(start(tmp_path / "a")):
        assert "another process is training in" in ask()
    assert ask() == "opened"


def test_a_later_rank_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    with open_experiment(start(tmp_path / "a", overwrite=True)) as experiment:
        assert experiment == Experiment(tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_a_missing_manifest_is_refused_before_anything_is_written(tmp_path):
    absent = DataConfig(train_json=__file__, valid_json="absent.json")
    with (
        pytest.raises(ConfigError, match=r"data.valid_json: no manifest absent\.json"),
        open_experiment(start(tmp_path / "a", data=absent)),
    ):
        pass
    assert not (tmp_path / "a").exists()


def test_configurations_are_immutable():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Recipe().exp_dir = "x"


def test_a_run_that_is_older_than_the_network_s_options_resumes(tmp_path):
    conf = Path(__file__).parents[3] / "egs" / "TAC" / "conf.yml"
    folder = tmp_path / "old"

    def parse(*flags: str) -> Parsed[Recipe]:
        files = ["--train_json", __file__, "--valid_json", __file__]  # only their presence counts
        return parse_recipe(Recipe, ["--exp_dir", str(folder), *files, *flags], defaults=conf)

    old = plain(parse().config)
    del old["network"], old["plugin"], old["net"]["norm_type"], old["net"]["stride"]
    old["training"]["precision"] = "fp32"
    (folder / "checkpoints").mkdir(parents=True)
    torch.save({"global_step": 3}, folder / "checkpoints" / "last.ckpt")
    (folder / "conf.yml").write_text(yaml.safe_dump(old), encoding="utf-8")
    for flags, message in (
        (["--norm_type", "cLN"], r"net\.norm_type was 'gLN', is 'cLN'"),
        (["--enc_dim", "32"], r"net\.enc_dim was 64, is 32"),
    ):
        with (
            pytest.raises(ConfigError, match=message),
            open_experiment(parse(*flags, "--precision", "32")),
        ):
            pass
    with open_experiment(parse("--precision", "32")) as experiment:
        assert yaml.safe_load(experiment.conf.read_text())["net"]["norm_type"] == "gLN"
