"""Networks that were exported to ONNX, run by onnxruntime as any other network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from asteroid.utils.optional import missing_package

__all__ = ["load_onnx", "open_session"]


class OnnxNetwork(nn.Module):
    """An ONNX file with the call of a network of one microphone; on the CPU only.

    Attributes:
        sample_rate: Hz.
        latency_samples: Its look-ahead; None: without a bound, or not known.
    """

    in_channels = 1

    def __init__(self, session: Any, sample_rate: int, latency_samples: int | None) -> None:
        super().__init__()
        self._session = session
        self.sample_rate, self.latency_samples = sample_rate, latency_samples
        # what asks a network's parameters for its device finds the CPU
        self.place = nn.Parameter(torch.zeros(0), requires_grad=False)

    def forward(self, mixture: Tensor) -> Tensor:
        """Map ``(batch, samples)`` or ``(batch, 1, samples)`` to ``(batch, sources, samples)``."""
        rows = mixture.reshape(-1, 1, mixture.shape[-1]).float()
        answers = [self._session.run(None, {"mixture": row.numpy()})[0] for row in rows]
        return torch.cat([torch.from_numpy(answer) for answer in answers])


def open_session(path: str | Path) -> Any:
    """Return onnxruntime's session for a file, on as many threads of the CPU as torch has.

    Raises:
        FileNotFoundError: There is no such file.
        ModuleNotFoundError: onnxruntime is not installed; names the command.
        ValueError: The file is damaged.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no network {path}")
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise missing_package("a network in ONNX", "onnx") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own, of no common base
        why = str(error).partition("\n")[0]
        raise ValueError(f"{path} is damaged or no ONNX file: {why}") from error


def load_onnx(path: str | Path) -> nn.Module:
    """Return a network that ``seloss export`` wrote, in evaluation mode.

    Raises:
        FileNotFoundError: There is no such file.
        ModuleNotFoundError: onnxruntime is not installed; names the command.
        ValueError: The file is damaged, takes single frames, or was not written by
            ``seloss export``.
    """
    session = open_session(path)
    facts = session.get_modelmeta().custom_metadata_map
    names = [value.name for value in session.get_inputs()]
    if names == ["frame", "state"]:
        raise ValueError(f"{path} takes one frame and its state; export without --frame for files")
    if "sample_rate" not in facts or names != ["mixture"]:
        raise ValueError(f"{path} was not written by seloss export: it has no sample_rate")
    latency = facts.get("latency_samples", "None")
    late = None if latency == "None" else int(latency)
    return OnnxNetwork(session, int(facts["sample_rate"]), late).eval()
