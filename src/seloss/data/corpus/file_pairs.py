"""Noisy and clean recordings of the same utterances, paired by a rule that is a pattern.

A pattern is a path below the folder, in which ``{name}`` stands for any text without a slash, ``*``
too but without a name, ``**`` for any text. A noisy and a clean file belong together if every name
that both patterns have stands for the same text. Names that only one has are facts of the pair if
they are called ``speaker``, ``noise_type`` or ``snr_db``::

    noisy: "noisy/*_snr{snr_db}_*fileid_{id}.wav"
    clean: "clean/clean_fileid_{id}.wav"
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from seloss.data.formats.audio import read_header
from seloss.data.formats.audio_files import walk_files
from seloss.data.formats.mixture import DataError, Mixture, Problem

__all__ = ["PAIRINGS", "PairingRule", "pair_folders"]

_LOG = logging.getLogger(__name__)
_TOKEN = re.compile(r"\{(\w+)\}|\*\*|\*")
_FACTS = ("speaker", "noise_type", "snr_db")
_SHOWN = 10


def _names(pattern: str) -> set[str]:
    return {name for name in _TOKEN.findall(pattern) if name}


@dataclass(frozen=True)
class PairingRule:
    """Which noisy file belongs to which clean one.

    Attributes:
        noisy: Pattern of the noisy files, below the noisy folder.
        clean: Pattern of the clean files, below the clean folder.
    """

    noisy: str = "{id}.wav"
    clean: str = "{id}.wav"

    def __post_init__(self) -> None:
        if not self.shared:
            raise ValueError(
                "the patterns of noisy and clean files must share a {name}, such as {id}; got "
                f"{self.noisy!r} and {self.clean!r}"
            )

    @property
    def shared(self) -> tuple[str, ...]:
        """Names that both patterns have, sorted."""
        return tuple(sorted(_names(self.noisy) & _names(self.clean)))


#: Rules of public corpora.
PAIRINGS: Mapping[str, PairingRule] = {
    "same_name": PairingRule("{id}.wav", "{id}.wav"),
    "voicebank": PairingRule("{speaker}_{utterance}.wav", "{speaker}_{utterance}.wav"),
    "dns": PairingRule("**fileid_{id}.wav", "clean_fileid_{id}.wav"),
    "dns_test": PairingRule("**_snr{snr_db}_**fileid_{id}.wav", "clean_fileid_{id}.wav"),
}


def _compile(pattern: str) -> re.Pattern[str]:
    """Return the pattern as a regular expression over a path below the folder."""
    expression, at, taken = "", 0, set[str]()
    for token in _TOKEN.finditer(pattern):
        expression += re.escape(pattern[at : token.start()])
        name = token[1]
        if name is None:
            expression += ".*?" if token[0] == "**" else "[^/]*?"
        elif name in taken:
            expression += f"(?P={name})"
        else:
            expression += f"(?P<{name}>[^/]+?)"
            taken.add(name)
        at = token.end()
    return re.compile(expression + re.escape(pattern[at:]))


def _find(
    folder: Path, pattern: str, shared: tuple[str, ...]
) -> tuple[dict[tuple[str, ...], tuple[Path, dict[str, str]]], list[Problem]]:
    """Return key -> file and the texts of its names, and files whose key another one has."""
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}")
    rule = _compile(pattern)
    files: dict[tuple[str, ...], tuple[Path, dict[str, str]]] = {}
    twice: list[Problem] = []
    for path in sorted(walk_files(folder)):
        name = path.relative_to(folder).as_posix()
        match = rule.fullmatch(name)
        if match is None:
            continue
        texts = match.groupdict()
        key = tuple(texts[name] for name in shared)
        if key in files:
            other = files[key][0].name
            twice.append(Problem(0, name, f"has the same {', '.join(shared)} as {other}"))
            continue
        files[key] = path, texts
    if not files:
        raise DataError(str(folder), [Problem(0, "pairs", f"holds no file like {pattern!r}")])
    return files, twice


def pair_folders(
    noisy: str | Path,
    clean: str | Path,
    rule: PairingRule | None = None,
    *,
    unpaired: Literal["refuse", "skip"] = "refuse",
    facts: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Mixture]:
    """Return the pairs of two folders as mixtures of one microphone; the noise is their difference.

    Args:
        noisy: Folder of the noisy recordings.
        clean: Folder of the clean ones.
        rule: Which belong together; by default those of equal names.
        unpaired: Whether a file without its counterpart is an error, or left out with a warning.
        facts: By the name of the noisy file without its suffix, further facts.

    Raises:
        FileNotFoundError: If a folder does not exist.
        DataError: If files have no counterpart, or two the same one, or a pair has not one rate and
            length; names the first ten.
    """
    rule = rule or PAIRINGS["same_name"]
    noisy, clean = Path(noisy).absolute(), Path(clean).absolute()
    left, problems = _find(noisy, rule.noisy, rule.shared)
    right, more = _find(clean, rule.clean, rule.shared)
    lonely = [
        Problem(0, files[key][0].name, f"has no counterpart in {folder}")
        for files, other, folder in ((left, right, clean), (right, left, noisy))
        for key in sorted(files.keys() - other.keys())
    ]
    problems += more
    if unpaired == "refuse":
        problems += lonely
    elif lonely:
        shown = ", ".join(problem.item for problem in lonely[:_SHOWN])
        _LOG.warning("%d files without counterpart are left out: %s", len(lonely), shown)
    keys = [key for key in left if key in right]
    items = [
        _mixture(noisy, left[key], right[key], (facts or {}).get(left[key][0].stem, {}))
        for key in keys
    ]
    problems += [item for item in items if isinstance(item, Problem)]
    if problems:
        raise DataError(f"{noisy} and {clean}", problems)
    return [item for item in items if isinstance(item, Mixture)]


def _mixture(
    folder: Path,
    noisy: tuple[Path, dict[str, str]],
    clean: tuple[Path, dict[str, str]],
    facts: Mapping[str, Any],
) -> Mixture | Problem:
    named: dict[str, Any] = {k: v for k, v in {**clean[1], **noisy[1]}.items() if k in _FACTS}
    try:
        if "snr_db" in named:
            named["snr_db"] = float(named["snr_db"])
        headers = [read_header(path) for path in (noisy[0], clean[0])]
    except (ValueError, OSError) as error:
        return Problem(0, noisy[0].name, f"cannot be used: {error}")
    sizes = {(header.sample_rate, header.frames, header.channels) for header in headers}
    if len(sizes) > 1:
        words = " and ".join(
            f"{h.frames} samples, {h.channels} channel(s) at {h.sample_rate} Hz" for h in headers
        )
        return Problem(0, noisy[0].name, f"noisy and clean must be equal in size; got {words}")
    return Mixture(
        id="-".join(noisy[0].relative_to(folder).with_suffix("").parts),
        mixture=(noisy[0],),
        speech=(clean[0],),
        noise=(),
        length=headers[0].frames,
        **{**named, **facts},
    )
