"""The losses by name, as recipes and command lines ask for them."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Mapping
from pathlib import Path

from torch import nn

from asteroid.utils.registry import Registry, did_you_mean

from .compressed_spectrum import CompressedSpectrumLoss
from .log_mel import LogMelLoss
from .loudness import PMSQELoss
from .multi_scale import MultiScaleSTFTLoss
from .sdr_xp import NegSISDRLoss, XP1Loss
from .signal_ratio import SDRLoss, SISNRLoss
from .speech_loss import SpeechLoss
from .squared_error import SpectrumMSELoss, WaveformMSELoss
from .weighted_sdr import WeightedSDRLoss

__all__ = ["LOSSES", "build_loss", "build_part", "get_loss"]
__all__ += ["CompressedSpectrumLoss", "LogMelLoss", "MultiScaleSTFTLoss", "NegSISDRLoss"]
__all__ += ["PMSQELoss", "SDRLoss", "SISNRLoss", "SpectrumMSELoss", "SpeechLoss"]
__all__ += ["WaveformMSELoss", "WeightedSDRLoss", "XP1Loss"]

LOSSES: Registry[type[nn.Module]] = Registry("loss")
LOSSES.register("neg_sisdr")(NegSISDRLoss)
LOSSES.register("xp1")(XP1Loss)
LOSSES.register("mse")(WaveformMSELoss)
LOSSES.register("mse_spectrum")(SpectrumMSELoss)
LOSSES.register("si_snr")(SISNRLoss)
LOSSES.register("sdr")(SDRLoss)
LOSSES.register("weighted_sdr")(WeightedSDRLoss)
LOSSES.register("lms")(LogMelLoss)
LOSSES.register("pmsqe")(PMSQELoss)
LOSSES.register("multi_scale_stft")(MultiScaleSTFTLoss)
LOSSES.register("compressed_spectrum")(CompressedSpectrumLoss)


def build_part(name: str, options: Mapping[str, object], sample_rate: float) -> nn.Module:
    """Build a loss that returns one value per utterance, at the sampling rate if it takes one.

    A loss of one's own that knows no ``reduction`` may return a mean instead.
    """
    parameters = inspect.signature(get_loss(name)).parameters
    common = {"reduction": "none", "sample_rate": sample_rate}
    loss = build_loss(name, **options, **{k: v for k, v in common.items() if k in parameters})
    if "reduction" not in parameters and hasattr(loss, "reduction"):  # one's own, say
        loss.reduction = "none"  # type: ignore[assignment]
    return loss


def build_loss(name: str, **options: object) -> nn.Module:
    """Build a loss.

    Args:
        name: One of the names in :data:`LOSSES`, or ``FILE.py:CLASS``.
        options: The loss's own arguments.

    Raises:
        ValueError: Unknown name, an argument the loss does not have, or a bad value.

    Example:
        >>> build_loss("neg_sisdr", scale="critical", n_bins=21, weights_type="speech_norm").stft
        Stft()
    """
    loss = get_loss(name)
    names = list(inspect.signature(loss).parameters)
    unknown = sorted(set(options) - set(names))
    if unknown:
        guess = did_you_mean(unknown[0], names)
        raise ValueError(
            f"the loss {name!r} has no argument {', '.join(unknown)}{guess}; it has "
            f"{', '.join(names)}"
        )
    try:
        return loss(**options)
    except TypeError as error:
        given = ", ".join(f"{key}={value!r}" for key, value in options.items()) or "no options"
        raise ValueError(f"the loss {name!r} cannot be built with {given}: {error}") from error


def get_loss(name: str) -> type[nn.Module]:
    """Return the class of a loss: one of :data:`LOSSES`, or one's own as ``FILE.py:CLASS``.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Unknown name, or the file has no such class of losses.
    """
    file, separator, class_name = name.rpartition(":")
    if not separator:
        return LOSSES.get(name)
    if not Path(file).is_file():
        raise FileNotFoundError(f"loss {name!r}: no file {file}")
    spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    if spec is None or spec.loader is None:
        raise ValueError(f"loss {name!r}: {file} must be a Python file (.py)")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the file raises
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"loss {name!r}: {file} cannot be imported: {reason}") from error
    loss = getattr(module, class_name, None)
    if not (isinstance(loss, type) and issubclass(loss, nn.Module)):
        raise ValueError(f"loss {name!r}: {file} defines no torch module {class_name}")
    return loss
