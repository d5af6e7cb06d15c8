"""The training loss on the command line and in configuration files, as short as it can be said.

``--loss NAME``, ``--loss 'si_snr+0.5*lms'``, ``--loss '[{"name": "lms", "weight": 2}]'``, ``--loss
FILE.yml``, ``--loss_preset NAME``; in YAML ``loss:`` may be a list of parts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["PRESETS", "expand_loss_flags", "loss_options", "parse_sum", "preset_file"]

PRESETS = Path(__file__).resolve().parents[4] / "configs" / "losses"
"""Folder of the named losses."""

_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_TERM = re.compile(rf"\s*(?:({_NUMBER})\s*\*\s*)?([A-Za-z_./~][\w./~:-]*)\s*")


def expand_loss_flags(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the arguments with ``--loss`` spelt out, and the files of losses that were named.

    Raises:
        ValueError: A sum that cannot be read, an unknown preset, or a flag without its value.
    """
    arguments: list[str] = []
    files: list[str] = []
    rest = iter(argv)
    for argument in rest:
        flag, separator, value = argument.partition("=")
        if flag not in ("--loss", "--loss_preset"):
            arguments.append(argument)
            continue
        if not separator:
            value = next(rest, "")
        if not value or value.startswith("--"):
            raise ValueError(f"{flag}: expected one argument")
        if flag == "--loss_preset":
            files.append(str(preset_file(value)))
        elif value.endswith((".yml", ".yaml")):
            files.append(value)
        elif value.lstrip().startswith("[") or re.search(r"[+*]", value):
            arguments += ["--loss.parts", json.dumps(parse_sum(value))]
        else:
            arguments += ["--loss.name", value, "--loss.parts", "[]"]
    return arguments, files


def parse_sum(text: str) -> list[dict[str, Any]]:
    """Return the parts of a sum such as ``si_snr+0.5*lms`` or a JSON list.

    Raises:
        ValueError: It is neither.

    Example:
        >>> parse_sum("si_snr + 0.5*lms")
        [{'name': 'si_snr', 'weight': 1.0}, {'name': 'lms', 'weight': 0.5}]
    """
    if text.lstrip().startswith("["):
        try:
            parts = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"--loss: not a JSON list of losses: {error}; got {text}") from None
        return list(parts)
    terms = re.split(r"(?<!\d[eE])\+", text)
    matches = [_TERM.fullmatch(term) for term in terms]
    found = [
        {"name": match[2], "weight": float(match[1] or 1.0)}
        for match in matches
        if match is not None
    ]
    if len(found) < len(terms):
        raise ValueError(
            f"--loss: expected a name or a sum such as si_snr+0.5*lms, or a JSON list; got {text}"
        )
    return found


def preset_file(name: str) -> Path:
    """Return the file of a named loss.

    Raises:
        ValueError: There is none of this name; the message lists those there are.
    """
    known = sorted(path.stem for path in PRESETS.glob("*.yml"))
    if name not in known:
        raise ValueError(f"--loss_preset must be one of {', '.join(known)}; got {name}")
    return PRESETS / f"{name}.yml"


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
