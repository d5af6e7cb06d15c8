"""The training loss as an option: one loss, or a weighted sum of several.

On the command line ``--loss NAME``, ``--loss 'si_snr+0.5*lms'``, ``--loss '[{"name": "lms",
"weight": 2}]'``, ``--loss FILE.yml`` or ``--loss_preset NAME``; in YAML ``loss:`` may be a list of
parts. Names and options are those of `asteroid.losses.LOSSES`: what it has not is refused when the
loss is built.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from asteroid.utils.registry import did_you_mean
from seloss.root import ROOT

from .option import ConfigError, read_yaml

__all__ = ["PRESETS", "LossConfig", "loss_from_preset", "loss_from_text", "loss_options"]

PRESETS = ROOT / "configs" / "losses.yml"
"""The named losses."""

_BANDS = ("scale", "n_fft", "hop_length", "n_bins", "weights_type", "gamma")
_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_TERM = re.compile(rf"\s*(?:({_NUMBER})\s*\*\s*)?([A-Za-z_./~][\w./~:-]*)\s*")


@dataclass(frozen=True)
class LossConfig:
    """Training loss.

    Attributes:
        name: Which loss (--loss): one of asteroid.losses.LOSSES, such as neg_sisdr
            (frequency-weighted SI-SDR), xp1 (SI-SDR), si_snr or weighted_sdr, or one's own as
            FILE.py:CLASS. A sum of several as --loss si_snr+0.5*lms, as a list in YAML or JSON (see
            parts), from a file (--loss FILE.yml) or by its name in configs/losses.yml
            (--loss_preset NAME).
        scale: Frequency scale of the bands of neg_sisdr, as are the five options that follow; in a
            sum they count for a part that does not give them itself. linear, mel or critical.
        n_fft: FFT size, samples.
        hop_length: Hop of the STFT, samples.
        n_bins: Number of bands: any for mel, 18, 21 or 25 for critical; not used by linear.
        weights_type: Weighting of the bands, by its name in asteroid.losses.weightings.WEIGHTINGS.
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
    scale: str = "mel"
    n_fft: int = 1024
    hop_length: int = 256
    n_bins: int | None = 18
    weights_type: str = "speech_norm"
    gamma: float = 0.2
    variant: Literal["default", "published"] = "default"
    parts: tuple[dict[str, Any], ...] = ()
    balance: bool = False
    balance_by: Literal["range", "gradient"] = "range"
    balance_items: int = 16

    def __post_init__(self) -> None:
        for name in ("n_fft", "hop_length", "gamma", "balance_items"):
            if getattr(self, name) <= 0:
                raise ValueError(f"loss.{name} must be positive; got {getattr(self, name)}")
        parts = tuple(_weighted(part, f"loss.parts[{i}]") for i, part in enumerate(self.parts))
        object.__setattr__(self, "parts", parts)
        counting = sum(part["weight"] > 0 for part in parts)
        if parts and not counting:
            raise ValueError("loss.parts: at least one weight must be above 0")
        if self.balance and counting < 2:
            raise ValueError("loss.balance needs a sum of at least two losses with a weight")

    def terms(self) -> list[dict[str, Any]]:
        """Return what is to be summed, with the options of each part."""
        bands = {name: getattr(self, name) for name in _BANDS}
        if self.parts:
            return [(bands if part["name"] == "neg_sisdr" else {}) | part for part in self.parts]
        options = bands if self.name == "neg_sisdr" else {}
        if self.variant != "default":
            options["variant"] = self.variant
        return [{"name": self.name, "weight": 1.0, **options}]


def loss_from_text(text: str) -> dict[str, Any]:
    """Return the options of `LossConfig` that ``--loss`` stands for.

    Raises:
        ConfigError: It cannot be read.

    Example:
        >>> loss_from_text("si_snr + 0.5*lms")["parts"]
        [{'name': 'si_snr', 'weight': 1.0}, {'name': 'lms', 'weight': 0.5}]
    """
    if text.endswith((".yml", ".yaml")):
        tree = loss_options(read_yaml(Path(text)))
        if not isinstance(tree, dict) or not isinstance(tree.get("loss"), dict):
            raise ConfigError(f"{text}: expected a list of losses, or loss: and its options")
        return dict(tree["loss"])
    if text.lstrip().startswith("["):
        try:
            return {"parts": list(json.loads(text))}
        except json.JSONDecodeError as error:
            raise ConfigError(f"--loss: not a JSON list of losses: {error}; got {text}") from None
    # A single name replaces any sum that a file has.
    if not re.search(r"[+*]", text):
        return {"name": text, "parts": []}
    terms = [_TERM.fullmatch(term) for term in re.split(r"(?<!\d[eE])\+", text)]  # not that of 1e+3
    parts = [{"name": term[2], "weight": float(term[1] or 1.0)} for term in terms if term]
    if len(parts) < len(terms):
        raise ConfigError(
            f"--loss: expected a name or a sum such as si_snr+0.5*lms, or a JSON list; got {text}"
        )
    return {"parts": parts}


def loss_from_preset(name: str) -> dict[str, Any]:
    """Return the options of `LossConfig` for a loss of ``configs/losses.yml``.

    Raises:
        ConfigError: There is none of this name; the message lists those there are.
    """
    presets = read_yaml(PRESETS)
    if name not in presets:
        names = ", ".join(presets)
        raise ConfigError(
            f"--loss_preset must be one of {names}; got {name}{did_you_mean(name, presets)}"
        )
    return {"parts": presets[name]}


def loss_options(tree: Any) -> Any:
    """Return the options of a configuration file with its ``loss`` as a mapping.

    A list of parts, in ``loss`` or as the whole file, becomes ``loss: {parts: ...}``; a loss that
    is given by name replaces any sum.
    """
    if isinstance(tree, list) and all(isinstance(part, dict) for part in tree):
        tree = {"loss": tree}
    if not isinstance(tree, dict):
        return tree
    loss = tree.get("loss")
    if isinstance(loss, list):
        return {**tree, "loss": {"parts": loss}}
    if isinstance(loss, dict) and "name" in loss and "parts" not in loss:
        return {**tree, "loss": {**loss, "parts": []}}
    return tree


def _weighted(part: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return a part of a sum with its weight as a number."""
    if not isinstance(part.get("name"), str):
        raise ValueError(f"{where} must hold the name of a loss, as in name: lms; got {part!r}")
    value = part.get("weight", 1.0)
    try:
        weight = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        weight = math.nan
    if not 0 <= weight < math.inf:
        raise ValueError(f"{where}.weight must be a number, 0 or more; got {value!r}")
    return {**part, "weight": weight}
