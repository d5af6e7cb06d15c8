"""Checkpoint files of a run: which of them a training resumes from, and the network in one."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch

__all__ = [
    "LAST_CHECKPOINT",
    "REQUEUE_CHECKPOINT",
    "TIMED_CHECKPOINT",
    "network_package",
    "network_weights",
    "newest_checkpoint",
]

_LOG = logging.getLogger(__name__)
LAST_CHECKPOINT, TIMED_CHECKPOINT, REQUEUE_CHECKPOINT = "last.ckpt", "timed.ckpt", "requeue.ckpt"


def newest_checkpoint(folder: Path, epochs: int | None = None) -> Path | None:
    """Return the resumable checkpoint with the most optimiser steps; None if there is none at all.

    One that cannot be read is left out, with a warning, if there is another. Of a run that was
    killed between the two checkpoints of its first epoch, the best one is the last one too.

    Args:
        folder: Of the checkpoints.
        epochs: That the run's history has; None: not known.

    Raises:
        ValueError: ``last.ckpt`` is damaged, or missing beside other checkpoints; the message says
            from which of those training could be resumed.
    """
    names = (LAST_CHECKPOINT, TIMED_CHECKPOINT, REQUEUE_CHECKPOINT)
    resumable = [folder / name for name in names if (folder / name).is_file()]
    others = sorted(set(folder.glob("*.ckpt")) - set(resumable))
    reasons: dict[Path, str] = {}
    newest = _newest(resumable, reasons)
    for path, reason in reasons.items():
        _LOG.warning("%s cannot be read: %s", path, reason)
    if newest is not None or not resumable + others:
        return newest
    last = folder / LAST_CHECKPOINT
    damage = f"cannot be read ({reasons[last]})" if last in reasons else "is missing"
    saved = _newest(others, reasons)
    if saved is not None and not resumable and epochs == 1:
        _LOG.warning("%s was not written before the run was killed: %s has its epoch", last, saved)
        return saved
    if saved is None:
        advice = "no other checkpoint can be read either: restore one from a copy"
    else:
        advice = f"{saved.name} is good: to resume from it, cp {saved} {last}"
    raise ValueError(
        f"{last} {damage}, so training cannot be resumed from it; {advice}. Or start again with "
        "--overwrite"
    )


def _newest(paths: list[Path], reasons: dict[Path, str]) -> Path | None:
    """Return the readable checkpoint with the most steps; ``reasons`` gets those of the others."""
    steps: dict[Path, int] = {}
    for path in paths:
        content = _steps_or_reason(path)
        if isinstance(content, int):
            steps[path] = content
        else:
            reasons[path] = content
    return max(steps, key=lambda path: steps[path], default=None)


def _steps_or_reason(path: Path) -> int | str:
    """Return the optimiser steps behind a checkpoint, or why it cannot be read."""
    try:
        # Mapped, so that the tensors are not read.
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        return int(content["global_step"])
    except Exception as error:  # unpickling what is no checkpoint raises whatever it meets
        return _first_line(error)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or ["it is empty"])[0]


def network_package(path: str | Path) -> dict[str, Any]:
    """Return the network of a checkpoint as ``network.serialize()`` would give it.

    Args:
        path: A checkpoint of a run (``checkpoints/*.ckpt``), or a ``best_model.pth``.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It holds no network.
    """
    try:
        with torch.serialization.safe_globals([torch.torch_version.TorchVersion]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # unpickling what is no checkpoint raises whatever it meets
        raise ValueError(f"{path} is not a checkpoint: {_first_line(error)}") from None
    if not isinstance(content, dict) or not {"model_name", "model_args"} <= content.keys():
        raise ValueError(f"{path} does not say which network it holds (model_name, model_args)")
    if "pytorch-lightning_version" not in content:
        return content
    return {
        "model_name": content["model_name"],
        "model_args": content["model_args"],
        "state_dict": network_weights(content),
    }


def network_weights(checkpoint: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Return the weights of the network in a checkpoint of an ``EnhancementSystem``.

    They are the averaged ones if the run has averaged them.
    """
    if "averaged" in checkpoint:
        return dict(checkpoint["averaged"])
    prefix, state = "network.", checkpoint["state_dict"]
    return {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}
