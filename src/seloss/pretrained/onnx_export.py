"""Networks as ONNX files: whole signals of any length in, enhanced ones out.

torch.export writes an LSTM out step by step and so fixes the length. Here every LSTM becomes the
operator of that name.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from asteroid.utils.files import atomic_path
from asteroid.utils.optional import needed_for

from .onnx_network import load_onnx

__all__ = ["ExportedNetwork", "count_products", "export_onnx"]

#: Samples that the network is traced with, and others that the file is checked with.
_TRACED, _CHECKED = 8000, (8000, 12345)
#: How far its answers may be from the network's, relative to their largest value.
_ROUND_OFF = 1e-4
_TALKATIVE = ("onnxscript", "onnx_ir", "torch.onnx")


@dataclass(frozen=True)
class ExportedNetwork:
    """What there is to say about an exported network.

    Attributes:
        path: The file.
        sample_rate: Hz.
        n_parameters: Of the network.
        products_per_s: Multiplications that one second of audio takes.
        latency_ms: Its look-ahead, the window included; None: without a bound, or not known.
        error: Largest difference of its answers to the network's, relative to their largest value.
    """

    path: Path
    sample_rate: int
    n_parameters: int
    products_per_s: float
    latency_ms: float | None
    error: float

    def __str__(self) -> str:
        latency = "" if self.latency_ms is None else f", latency {self.latency_ms:.1f} ms"
        return (
            f"{self.path}: {self.path.stat().st_size / 1e6:.2f} MB, {self.n_parameters:,} "
            f"parameters, {self.products_per_s / 1e6:.0f} million products for a second of audio "
            f"at {self.sample_rate} Hz{latency}; onnxruntime gives the network's answer to "
            f"{self.error:.0e} of its largest value"
        )


class _OnnxLSTM(nn.Module):
    """`torch.nn.LSTM` as the operators of ONNX, one for each layer; only to be exported."""

    def __init__(self, rnn: nn.LSTM) -> None:
        super().__init__()
        if rnn.bidirectional or rnn.batch_first or rnn.proj_size or not rnn.bias:
            raise ValueError(f"no form of {rnn} in ONNX is written here")
        self.hidden, self.n_layers = rnn.hidden_size, rnn.num_layers
        for at, (outer, inner, outer_bias, inner_bias) in enumerate(rnn.all_weights):
            self.register_buffer(f"outer_{at}", _in_onnx_order(outer)[None])
            self.register_buffer(f"inner_{at}", _in_onnx_order(inner)[None])
            bias = torch.cat([_in_onnx_order(outer_bias), _in_onnx_order(inner_bias)])
            self.register_buffer(f"bias_{at}", bias[None])

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        """Map ``(frames, batch, features)`` to ``(frames, batch, hidden)``."""
        for at in range(self.n_layers):
            weights = (getattr(self, f"{name}_{at}") for name in ("outer", "inner", "bias"))
            y: Any = torch.onnx.ops.symbolic(
                "LSTM",
                (x, *weights),
                {"hidden_size": self.hidden},
                dtype=x.dtype,
                shape=(x.shape[0], 1, x.shape[1], self.hidden),
                version=14,
            )
            x = y.squeeze(1)
        return x, None


def _in_onnx_order(gates: Tensor) -> Tensor:
    """Put gates in the order input, output, forget, cell; torch has input, forget, cell, output."""
    to_write, to_keep, new, to_show = gates.detach().chunk(4)
    return torch.cat([to_write, to_show, to_keep, new])


def _with_onnx_lstms(module: nn.Module) -> nn.Module:
    for name, child in module.named_children():
        setattr(
            module, name, _OnnxLSTM(child) if type(child) is nn.LSTM else _with_onnx_lstms(child)
        )
    return module


def count_products(network: nn.Module) -> float:
    """Return the multiplications (of a sum of products) that a second of audio takes."""
    rate = round(float(network.sample_rate))  # type: ignore[arg-type]
    with warnings.catch_warnings(), torch.no_grad():
        warnings.filterwarnings("ignore", "TF32 acceleration")
        # MKLDNN's LSTM is one operator, which is not counted
        with torch.backends.mkldnn.flags(enabled=False), FlopCounterMode(display=False) as counter:
            network(torch.zeros(1, rate))
    return float(counter.get_total_flops()) / 2


def export_onnx(network: nn.Module, path: str | Path) -> ExportedNetwork:
    """Write a network of one microphone as an ONNX file and check it with onnxruntime.

    Its input ``mixture (1, samples)`` may have any length from a window up; its output is
    ``estimate (1, sources, samples)``. Its metadata hold ``sample_rate`` and ``latency_samples``.

    Args:
        network: In evaluation mode.
        path: The file; it is there only once it was checked.

    Raises:
        ModuleNotFoundError: onnx, onnxscript or onnxruntime is not installed; names the command.
        ValueError: The network has no form in ONNX, or the file answers something else.
    """
    with needed_for("an export to ONNX"):
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    path, rate = Path(path), round(float(network.sample_rate))  # type: ignore[arg-type]
    latency = getattr(network, "latency_samples", None)
    copied = _with_onnx_lstms(copy.deepcopy(network).eval().requires_grad_(False))
    samples = torch.export.Dim("samples", min=1024, max=2**31)
    try:
        with torch.no_grad(), _quiet():
            program = torch.onnx.export(
                copied,
                (_noise(_TRACED),),
                dynamo=True,
                input_names=["mixture"],
                output_names=["estimate"],
                dynamic_shapes=({1: samples},),
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        why = str(error.__cause__ or error).strip().partition("\n")[0]
        raise ValueError(f"{type(network).__name__} has no form in ONNX: {why}") from error
    assert program is not None
    facts = {"sample_rate": rate, "latency_samples": latency, "model_name": type(network).__name__}
    program.model.metadata_props.update({name: str(value) for name, value in facts.items()})
    with atomic_path(path) as temporary:
        program.save(temporary, external_data=False)
        exported = load_onnx(temporary)
        difference = max(_difference(network, exported, length) for length in _CHECKED)
        if not difference < _ROUND_OFF:
            raise ValueError(
                f"onnxruntime's answer differs from that of {type(network).__name__} by "
                f"{difference:.1e} of its largest value: no file was written"
            )
    return ExportedNetwork(
        path=path,
        sample_rate=rate,
        n_parameters=sum(p.numel() for p in network.parameters()),
        products_per_s=count_products(network),
        latency_ms=None if latency is None else 1000 * latency / rate,
        error=difference,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the exporter says about packages and constants that do not matter here."""
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _difference(network: nn.Module, exported: nn.Module, length: int) -> float:
    mixture = _noise(length)
    with torch.no_grad():
        expected, answer = network(mixture), exported(mixture)
    if answer.shape != expected.shape:
        return float("inf")
    return float((answer - expected).abs().max() / expected.abs().max())


def _noise(length: int) -> Tensor:
    return 0.1 * torch.randn(1, length, generator=torch.Generator().manual_seed(length))
