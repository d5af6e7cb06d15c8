"""Loggers of a run's scalars, audio and pictures: TensorBoard, Weights & Biases, MLflow.

All are Lightning's own loggers. Weights & Biases keeps its files in the experiment's folder
(offline: ``wandb sync`` sends them), MLflow its runs in a database there, unless
``MLFLOW_TRACKING_URI`` names a server.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import soundfile
import torch
from pytorch_lightning.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger

from asteroid.utils.optional import missing_package
from seloss.train.run.experiment import Experiment

__all__ = ["build_loggers", "show_media"]


def build_loggers(names: Iterable[str], experiment: Experiment) -> list[Logger]:
    """Return the loggers ``tensorboard``, ``wandb``, ``mlflow`` that are named.

    Raises:
        ModuleNotFoundError: A logger's package is not installed.
    """
    return [_build(name, experiment) for name in names]


def show_media(
    logger: Logger, name: str, signal: torch.Tensor, image: torch.Tensor, rate: int, step: int
) -> None:
    """Log a sound and a picture of it.

    Args:
        logger: One of :func:`build_loggers`.
        name: Of the signal, such as ``utterance/estimate``.
        signal: ``(samples,)``, within [-1, 1].
        image: ``(3, height, width)`` in [0, 1].
        rate: Hz.
        step: Of the optimiser.
    """
    sound, picture = f"audio/{name}", f"spectrogram/{name}"
    if isinstance(logger, TensorBoardLogger):
        logger.experiment.add_audio(sound, signal[None], step, rate)
        logger.experiment.add_image(picture, image, step)
        return
    pixels = (image * 255).byte().permute(1, 2, 0).numpy()
    if isinstance(logger, WandbLogger):
        logger.log_audio(sound, [signal.numpy()], step, sample_rate=[rate])
        logger.log_image(picture, [pixels], step)
    elif isinstance(logger, MLFlowLogger):
        run = logger.run_id
        logger.experiment.log_image(run, pixels, artifact_file=f"{picture}/{step:08d}.png")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{step:08d}.wav"
            soundfile.write(path, signal.numpy(), rate)
            logger.experiment.log_artifact(run, str(path), artifact_path=sound)


def _build(name: str, experiment: Experiment) -> Logger:
    try:
        return {"tensorboard": _tensorboard, "wandb": _wandb, "mlflow": _mlflow}[name](experiment)
    except ModuleNotFoundError as error:
        raise missing_package(f"training.loggers: {name}", name) from error


def _tensorboard(experiment: Experiment) -> Logger:
    """Return the logger; what a killed run logged after its last checkpoint is removed."""
    # None: nothing is purged from a new run.
    step = experiment.progress()[1] or None
    return TensorBoardLogger(
        experiment.folder, name="tensorboard_logs", version="", purge_step=step
    )


def _wandb(experiment: Experiment) -> Logger:
    """Return the logger; one run per experiment, also of a training that is resumed."""
    return WandbLogger(
        name=experiment.folder.name,
        save_dir=experiment.folder,
        project=os.environ.get("WANDB_PROJECT", "seloss"),
        offline=os.environ.get("WANDB_MODE", "offline") != "online",
    )


def _mlflow(experiment: Experiment) -> Logger:
    """Return the logger; a file keeps the run's number for a training that is resumed."""
    folder = experiment.folder
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{folder.resolve()}/mlflow.db"
    kept = folder / "mlflow_run"
    run = kept.read_text(encoding="utf-8").strip() if kept.is_file() else None
    logger = MLFlowLogger(
        experiment_name=os.environ.get("MLFLOW_EXPERIMENT_NAME", "seloss"),
        run_name=folder.name,
        tracking_uri=uri,
        artifact_location=str(folder.resolve() / "mlflow_artifacts"),
        run_id=run,
    )
    if run is None:
        kept.write_text(str(logger.run_id), encoding="utf-8")
    return logger
