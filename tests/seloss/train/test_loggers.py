"""The same scalars, sounds and pictures in every logger that is asked for, by the real packages."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seloss.train.callbacks.audio_log import N_FFT, spectrogram_image
from seloss.train.callbacks.loggers import build_loggers
from seloss.train.run.experiment import Experiment
from tests.seloss.train import tiny


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "WANDB_MODE", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.slow
def test_mlflow_keeps_scalars_sounds_and_pictures_of_a_resumed_run_too(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    tiny.fit(tmp_path, epochs=1, listen=1, loggers=("mlflow",))
    tiny.fit(tmp_path, epochs=2, listen=1, loggers=("mlflow",))
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
    tiny.fit(tmp_path, epochs=1, listen=1, loggers=("tensorboard", "wandb"))
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
    with pytest.raises(ModuleNotFoundError, match="wandb needs wandb: pip install wandb"):
        build_loggers(("wandb",), Experiment(tmp_path))


def test_no_logger_is_a_choice_too(tmp_path: Path) -> None:
    assert build_loggers((), Experiment(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


def test_the_picture_shows_a_tone_where_it_is():
    time = torch.arange(16000) / 16000
    picture = spectrogram_image(0.01 * torch.sin(2 * torch.pi * 2000 * time))
    assert picture.shape[:2] == (3, N_FFT // 2 + 1)
    assert float(picture.min()) >= 0
    assert float(picture.max()) <= 1
    brightest = int(picture.sum(0)[:, 60].argmax())
    assert N_FFT // 2 - brightest == pytest.approx(2000 / 16000 * N_FFT, abs=1)


def test_a_silent_or_short_signal_has_a_picture():
    assert bool(torch.isfinite(spectrogram_image(torch.zeros(16000))).all())
    assert spectrogram_image(torch.ones(10)).shape[-1] >= 1


def test_the_same_few_utterances_are_logged_at_every_epoch(tmp_path):
    tiny.fit(tmp_path, listen=2, epochs=2)
    events = EventAccumulator(str(tmp_path / "tensorboard_logs"), {"audio": 0, "images": 0})
    events.Reload()
    names = {f"{i}/{k}" for i in ("item-0", "item-1") for k in ("mixture", "target", "estimate")}
    assert set(events.Tags()["audio"]) == {f"audio/{name}" for name in names}
    assert set(events.Tags()["images"]) == {f"spectrogram/{name}" for name in names}
    assert len(events.Audio("audio/item-1/estimate")) == 2
    assert len(events.Audio("audio/item-1/mixture")) == 1
    assert {"train/loss", "val/loss", "lr", "train/grad_norm"} <= set(events.Tags()["scalars"])


def test_a_resume_takes_back_nothing_of_the_last_checkpoint(tmp_path):
    for epochs in (2, 3):
        tiny.fit(tmp_path, listen=1, epochs=epochs)
    events = EventAccumulator(str(tmp_path / "tensorboard_logs"), {"audio": 0, "scalars": 0})
    events.Reload()
    assert len(events.Audio("audio/item-0/estimate")) == 3
    assert len(events.Scalars("val/loss")) == 3
