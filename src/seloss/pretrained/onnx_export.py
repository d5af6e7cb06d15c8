"""Networks as ONNX files: for whole signals of any length, or for one frame and its state.

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

from .onnx_network import load_onnx, open_session

__all__ = ["ExportedNetwork", "count_products", "export_onnx"]

#: Samples that the network is traced with, and others that the file is checked with.
_TRACED, _CHECKED, _SHORTEST = 8000, (8000, 12345), 1024
#: Frames of a stream that the file is checked with.
_FRAMES = 40
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
        n_state: Numbers that a frame hands to the next one; 0: it takes whole signals.
        products_per_s: Multiplications that one second of audio takes.
        latency_ms: Its look-ahead, the window included; None: without a bound, or not known.
        error: Largest difference of its answers to the network's, relative to their largest value.
    """

    path: Path
    sample_rate: int
    n_parameters: int
    n_state: int
    products_per_s: float
    latency_ms: float | None
    error: float

    def __str__(self) -> str:
        latency = "" if self.latency_ms is None else f", latency {self.latency_ms:.1f} ms"
        state = f"{self.n_state:,} numbers of state, " if self.n_state else ""
        return (
            f"{self.path}: {self.path.stat().st_size / 1e6:.2f} MB, {self.n_parameters:,} "
            f"parameters, {state}{self.products_per_s / 1e6:.0f} million products for a second of "
            f"audio at {self.sample_rate} Hz{latency}; onnxruntime gives the network's answer to "
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


class _Frame(nn.Module):
    """One frame of a stream, what it remembers in one flat tensor: zeros before the first frame."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.stream: Any = network.stream(1, engine="torch")  # type: ignore[operator]
        self.network = self.stream.network
        self.hop_length = int(self.stream.hop_length)
        self.stream.step(torch.zeros(1, self.hop_length))
        self.shapes = [memory.shape for memory in self._memories()]
        self.sizes = [shape.numel() for shape in self.shapes]

    def _memories(self) -> list[Tensor]:
        return [self.stream._recent, self.stream._overlap, *self.stream.state.values()]

    def forward(self, frame: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Map ``(1, hop_length)`` and ``(n,)`` to the same shapes."""
        parts = zip(state.split(self.sizes), self.shapes, strict=True)
        self.stream._recent, self.stream._overlap, *others = (p.view(s) for p, s in parts)
        self.stream.state.swap(others)
        enhanced = self.stream._step(frame, None)
        return enhanced, torch.cat([memory.flatten() for memory in self._memories()])


def export_onnx(network: nn.Module, path: str | Path, *, frame: bool = False) -> ExportedNetwork:
    """Write a network of one microphone as an ONNX file and check it with onnxruntime.

    The input ``mixture (1, samples)`` may have any length from a window up; the output is
    ``estimate (1, sources, samples)``. Or, for one frame of a stream, inputs are ``frame (1, hop)``
    and ``state (n,)``, outputs ``enhanced (1, hop)``, which is ``delay_samples`` old, and
    ``next_state (n,)``; the state before the first frame is zeros. Metadata hold ``sample_rate``,
    ``latency_samples`` and ``delay_samples``.

    Args:
        network: In evaluation mode.
        path: The file; it is there only once it was checked.
        frame: One frame with its state, instead of whole signals.

    Raises:
        ModuleNotFoundError: onnx, onnxscript or onnxruntime is not installed; names the command.
        ValueError: The network has no form in ONNX, or no stream; or the file answers something
            else.
    """
    with needed_for("an export to ONNX"):
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    path, rate = Path(path), round(float(network.sample_rate))  # type: ignore[arg-type]
    latency = getattr(network, "latency_samples", None)
    facts: dict[str, object] = {"sample_rate": rate, "latency_samples": latency}
    if frame:
        if not getattr(network, "streams", False):
            raise ValueError(f"{type(network).__name__} does not run frame by frame: not causal")
        module = _Frame(network).eval().requires_grad_(False)
        facts["delay_samples"] = module.stream.delay_samples
        n_state, check = sum(module.sizes), _frame_difference
        program = _traced(module, frame=_noise(module.hop_length), state=torch.zeros(n_state))
    else:
        whole = _with_onnx_lstms(copy.deepcopy(network).eval().requires_grad_(False))
        n_state, check = 0, _whole_difference
        program = _traced(whole, mixture=_noise(_TRACED))
    program.model.metadata_props.update({name: str(value) for name, value in facts.items()})
    with atomic_path(path) as temporary:
        program.save(temporary, external_data=False)
        difference = check(network, temporary)
        if not difference < _ROUND_OFF:
            raise ValueError(
                f"onnxruntime's answer differs from that of {type(network).__name__} by "
                f"{difference:.1e} of its largest value: no file was written"
            )
    return ExportedNetwork(
        path=path,
        sample_rate=rate,
        n_parameters=sum(p.numel() for p in network.parameters()),
        n_state=n_state,
        products_per_s=count_products(network),
        latency_ms=None if latency is None else 1000 * latency / rate,
        error=difference,
    )


def _traced(module: nn.Module, **inputs: Tensor) -> Any:
    """Return a module as an ONNX program: one frame, or a whole signal of any length.

    Raises:
        ValueError: It has no form in ONNX.
    """
    names, shapes = (["enhanced", "next_state"], None)
    if "mixture" in inputs:
        samples = torch.export.Dim("samples", min=_SHORTEST, max=2**31)
        names, shapes = ["estimate"], ({1: samples},)
    try:
        with torch.no_grad(), _quiet():
            return torch.onnx.export(
                module,
                tuple(inputs.values()),
                dynamo=True,
                input_names=list(inputs),
                output_names=names,
                dynamic_shapes=shapes,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        why = str(error.__cause__ or error).strip().partition("\n")[0]
        raise ValueError(f"{type(module).__name__} has no form in ONNX: {why}") from error


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


def _whole_difference(network: nn.Module, path: Path) -> float:
    """Return the largest difference to the network's answers, relative to their largest value."""
    exported, differences = load_onnx(path), []
    for length in _CHECKED:
        mixture = _noise(length)
        with torch.no_grad():
            differences.append(_relative(exported(mixture), network(mixture)))
    return max(differences)


def _frame_difference(network: nn.Module, path: Path) -> float:
    """Return that of a stream of frames to the answer for the whole signal."""
    session = open_session(path)
    (hop_length,), state = (value.shape[-1:] for value in session.get_inputs())
    memory: Any = torch.zeros(state).numpy()
    mixture, answers = _noise(_FRAMES * hop_length), []
    for frame in mixture.split(hop_length, dim=1):
        answer, memory = session.run(None, {"frame": frame.numpy(), "state": memory})
        answers.append(torch.from_numpy(answer))
    delay = int(session.get_modelmeta().custom_metadata_map["delay_samples"])
    with torch.no_grad():
        whole = network(mixture)[:, 0]
    return _relative(torch.cat(answers, dim=1)[:, delay:], whole[:, : whole.shape[1] - delay])


def _relative(answer: Tensor, expected: Tensor) -> float:
    if answer.shape != expected.shape:
        return float("inf")
    return float((answer - expected).abs().max() / expected.abs().max())


def _noise(length: int) -> Tensor:
    return 0.1 * torch.randn(1, length, generator=torch.Generator().manual_seed(length))
