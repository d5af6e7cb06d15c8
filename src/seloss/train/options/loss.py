"""The training loss as an option: one loss, or a weighted sum of several.

Names and options of the losses stand here once more, so that a wrong one is refused before torch is
imported; a test compares them with the losses themselves.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

__all__ = ["LOSS_OPTIONS", "LossConfig"]

Scale = Literal["linear", "mel", "critical"]
Weighting = Literal[
    "wo",
    "None",
    "speech_norm",
    "log_snr_speech_norm",
    "log_snr_softmax_speech_norm",
    "softmax_inverse_snr_speech_norm",
    "inverse_spectral_diff",
    "softmax",
    "softmax_ps",
    "softmax_log",
    "sigmoid",
    "sigmoid_log",
    "relu",
    "relu_log",
    "perceptual",
    "perceptual-2",
    "perceptual-3",
    "perceptual-published",
    "speech_presence",
    "presence_competition",
    "presence_flux",
    "presence_competition_flux",
]
Variant = Literal["default", "published"]

_CLAMPS = ("variant", "clamp_db", "soft_clamp_db", "eps")
_BANDS = ("scale", "n_fft", "hop_length", "n_bins", "weights_type", "gamma")
LOSS_OPTIONS: dict[str, tuple[str, ...]] = {
    "neg_sisdr": (*_BANDS, "window", "weighting_options", *_CLAMPS),
    "xp1": _CLAMPS,
    "mse": (),
    "mse_spectrum": ("n_fft", "hop_length"),
    "si_snr": _CLAMPS,
    "sdr": ("eps", "variant"),
    "weighted_sdr": ("eps", "variant"),
    "lms": ("n_mels", "n_fft", "win_length", "hop_length", "variant"),
    "pmsqe": (),
    "multi_scale_stft": ("n_ffts", "alpha"),
    "compressed_spectrum": (
        "complex_weight",
        "magnitude_weight",
        "power",
        "win_length",
        "hop_length",
    ),
}
"""Each loss by name and the options it takes (all are told the sampling rate, if they ask)."""

_CHOICES = {"scale": get_args(Scale), "weights_type": get_args(Weighting)}
_CHOICES["variant"] = get_args(Variant)


@dataclass(frozen=True)
class LossConfig:
    """Training loss.

    Attributes:
        name: Which loss (--loss): neg_sisdr (frequency-weighted SI-SDR), xp1 (SI-SDR), si_snr, sdr,
            mse, mse_spectrum, weighted_sdr, lms, pmsqe, multi_scale_stft, compressed_spectrum, or
            one's own as FILE.py:CLASS. A sum of several as --loss si_snr+0.5*lms, as a list in YAML
            or JSON (see parts), from a file (--loss FILE.yml) or as one of configs/losses
            (--loss_preset NAME).
        scale: Frequency scale of the bands of neg_sisdr, as are the five options that follow; in a
            sum they count for a part that does not give them itself.
        n_fft: FFT size, samples.
        hop_length: Hop of the STFT, samples.
        n_bins: Number of bands: any for mel, 18, 21 or 25 for critical; not used by linear.
        weights_type: Weighting of the bands, by its published name.
        gamma: Exponent of the speech weight.
        variant: default, or published: the original computation, which does not train from a random
            start.
        parts: What is summed, each with its name, optionally weight (1) and label, and the loss's
            own options; empty: the one loss called name.
        balance: Choose the weights from the first utterances, so that the parts' sizes are in the
            ratio of the weights given; what was chosen is written to balanced_loss.yml.
        balance_by: What a part's size is: range, the root mean square of its values, or gradient,
            the norm of its gradient for the estimate.
        balance_items: Over how many training utterances.
    """

    name: str = "neg_sisdr"
    scale: Scale = "mel"
    n_fft: int = 1024
    hop_length: int = 256
    n_bins: int | None = 18
    weights_type: Weighting = "speech_norm"
    gamma: float = 0.2
    variant: Variant = "default"
    parts: tuple[dict[str, Any], ...] = ()
    balance: bool = False
    balance_by: Literal["range", "gradient"] = "range"
    balance_items: int = 16

    def __post_init__(self) -> None:
        for name in ("n_fft", "hop_length", "gamma", "balance_items"):
            if getattr(self, name) <= 0:
                raise ValueError(f"loss.{name} must be positive; got {getattr(self, name)}")
        parts = tuple(_checked(part, f"loss.parts[{i}]") for i, part in enumerate(self.parts))
        object.__setattr__(self, "parts", parts)
        _check_name("loss.name", self.name)
        _check_bands("loss", dataclasses.asdict(self))
        for number, part in enumerate(parts):
            if part["name"] == "neg_sisdr":
                _check_bands(f"loss.parts[{number}]", self._bands() | part)
        counting = sum(part["weight"] > 0 for part in parts)
        if parts and not counting:
            raise ValueError("loss.parts: at least one weight must be above 0")
        if self.balance and counting < 2:
            raise ValueError("loss.balance needs a sum of at least two losses with a weight")

    def terms(self) -> list[dict[str, Any]]:
        """Return what is to be summed, with the options of each part."""
        if self.parts:
            defaults = {"neg_sisdr": self._bands()}
            return [defaults.get(part["name"], {}) | part for part in self.parts]
        options = self._bands() if self.name == "neg_sisdr" else {}
        if "variant" in LOSS_OPTIONS.get(self.name, ()):
            options["variant"] = self.variant
        return [{"name": self.name, "weight": 1.0, **options}]

    def _bands(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _BANDS}


def _checked(part: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return a part of a sum with its weight as a number; refuse what no loss has."""
    if not isinstance(part, Mapping) or not isinstance(part.get("name"), str):
        raise ValueError(f"{where} must hold the name of a loss, as in name: lms; got {part!r}")
    name = part["name"]
    _check_name(f"{where}.name", name)
    known = LOSS_OPTIONS.get(name)
    for key, value in part.items():
        if key in ("name", "weight", "label"):
            continue
        if known is not None and key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            guess = f" (did you mean {near[0]}?)" if near else ""
            has = f"options {', '.join(known)}" if known else "no options"
            raise ValueError(f"{where}: {key} is unknown{guess}; {name} has {has}")
        if key in _CHOICES and known is not None and value not in _CHOICES[key]:
            choices = ", ".join(_CHOICES[key])
            raise ValueError(f"{where}.{key} must be one of {choices}; got {value!r}")
    return {"name": name, "weight": _weight(part.get("weight", 1.0), where)} | {
        key: value for key, value in part.items() if key not in ("name", "weight")
    }


def _weight(value: object, where: str) -> float:
    try:
        weight = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        weight = math.nan
    if not 0 <= weight < math.inf:
        raise ValueError(f"{where}.weight must be a number, 0 or more; got {value!r}")
    return weight


def _check_name(where: str, name: str) -> None:
    """Refuse a name that is neither a loss's nor a class in a file; the file is not run."""
    file, separator, class_name = name.rpartition(":")
    if not separator:
        if name not in LOSS_OPTIONS:
            known = f"{', '.join(LOSS_OPTIONS)}, or FILE.py:CLASS"
            near = difflib.get_close_matches(name, LOSS_OPTIONS, n=1)
            guess = f" (did you mean {near[0]}?)" if near else ""
            raise ValueError(f"{where} must be one of {known}; got {name}{guess}")
        return
    try:
        tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{where} {name}: {file}: {error.strerror or error}") from None
    except (SyntaxError, UnicodeDecodeError, ValueError) as error:
        raise ValueError(f"{where} {name}: {file} is not Python: {error}") from None
    classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    if class_name not in classes:
        found = ", ".join(classes) or "no class"
        raise ValueError(f"{where}: {file} defines no class {class_name!r}; it has {found}")


def _check_bands(where: str, bands: Mapping[str, Any]) -> None:
    scale, n_bins = bands["scale"], bands["n_bins"]
    if n_bins is not None and n_bins != -1 and n_bins < 1:
        raise ValueError(f"{where}.n_bins must be positive, -1 or null; got {n_bins}")
    if scale == "critical" and n_bins not in (18, 21, 25):
        raise ValueError(
            f"{where}.n_bins must be one of 18, 21, 25 on the critical scale; got {n_bins}"
        )
    if scale == "mel" and n_bins in (None, -1):
        raise ValueError(f"{where}.n_bins must be positive on the mel scale; got {n_bins}")
