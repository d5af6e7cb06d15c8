"""The same scalars, sounds and pictures in every logger that is asked for, by the real packages."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile

from seloss.train import EnhancementSystem
from seloss.train.callbacks.loggers import build_loggers
from seloss.train.options.recipe import TrainingConfig
from seloss.train.run.experiment import Experiment
from tests.seloss.train import tiny


def fit(folder: Path, epochs: int, *loggers: str) -> None:
    system = EnhancementSystem(tiny.TinyNet(), tiny.SquaredError())
    trainer, _, experiment = tiny.trainer(folder, listen=1, epochs=epochs, loggers=loggers)
    loaders = tiny.loader(tiny.items(4)), tiny.loader(tiny.items(2))
    trainer.fit(system, *loaders, ckpt_path=experiment.last)
    for logger in trainer.loggers:
        logger.finalize("success")


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "WANDB_MODE", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.slow
def test_mlflow_keeps_scalars_sounds_and_pictures_and_a_resumed_run_goes_on(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    fit(tmp_path, 1, "mlflow")
    fit(tmp_path, 2, "mlflow")
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.get_experiment_by_name("seloss")
    runs = client.search_runs([experiment.experiment_id])
    assert [run.info.run_name for run in runs] == [tmp_path.name]
    assert {"train/loss", "val/loss", "lr"} <= set(runs[0].data.metrics)
    assert len(client.get_metric_history(runs[0].info.run_id, "val/loss")) == 2
    sounds = sorted(tmp_path.rglob("mlflow_artifacts/**/estimate/*.wav"))
    pictures = sorted(tmp_path.rglob("mlflow_artifacts/**/estimate/*.png"))
    assert len(sounds) == len(pictures) == 2
    assert soundfile.info(sounds[0]).samplerate == 16000


@pytest.mark.slow
def test_wandb_keeps_sounds_and_pictures_offline_beside_tensorboard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    fit(tmp_path, 1, "tensorboard", "wandb")
    runs = list((tmp_path / "wandb").glob("offline-run-*"))
    assert len(runs) == 1
    media = runs[0] / "files" / "media"
    assert len(list(media.rglob("*.wav"))) == 3  # mixture, target, estimate
    assert len(list(media.rglob("*.png"))) == 3
    assert any((tmp_path / "tensorboard_logs").iterdir())


def test_a_missing_package_is_named_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise ModuleNotFoundError("No module named 'wandb'")

    monkeypatch.setattr("seloss.train.callbacks.loggers.WandbLogger", refuse)
    training = TrainingConfig(monitor="val/loss", loggers=("wandb",))
    with pytest.raises(ModuleNotFoundError, match="wandb needs a package: pip install wandb"):
        build_loggers(training, Experiment(tmp_path))


def test_no_logger_is_a_choice_too(tmp_path: Path) -> None:
    assert build_loggers(TrainingConfig(loggers=()), Experiment(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []
