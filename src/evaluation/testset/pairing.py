"""Which file of any system belongs to which reference: pairing by name.

References come from a manifest (`id`, file names of its microphones) or from folders of audio,
where the path of a target without its suffix is the id. A reference goes by several *names*: its
id, and the stems of its files. These rules are tried one after the other on what is still without
a partner:

1. the estimate's path in its folder, without suffix, is a name:     `spk1/utt3.wav`, `spk1/utt3`
2. the estimate's stem is a name:                                    `a/utt3.wav`, `utt3`
3. one of the estimate's folders is a name:                          `utt3/enhanced.wav`, `utt3`
4. the estimate's stem holds a name between separators, the longest: `net_utt3-enh.wav`, `utt3`
5. a name holds the estimate's stem between separators:              `utt3.wav`, `clean_utt3`

A regular expression with a group (called `id`, else the first one) takes the place of all five:
what it finds in the estimate's path must be what it finds in a name, or the name itself.

Two estimates for one reference, or two references for one estimate, are refused, never guessed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import soundfile

__all__ = ["audio_files", "match"]

_SEPARATOR = re.compile(r"[^0-9A-Za-z]+")
_SHOWN = 10

_Names = Mapping[str, tuple[str, ...]]
_Rule = Callable[[Path, Mapping[str, set[str]]], set[str]]


def audio_files(folder: str | Path, *, leave_out: Iterable[Path] = ()) -> list[Path]:
    """Return every audio file below a folder, relative to it, in order; hidden ones do not count.

    Raises:
        FileNotFoundError: there is no such folder, or no audio in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}")
    suffixes = {f".{name.lower()}" for name in soundfile.available_formats() if name != "RAW"}
    suffixes |= {".aif", ".oga", ".opus"}
    unwanted = {path.resolve() for path in leave_out}
    found = [
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.suffix.lower() in suffixes and path.is_file() and path.resolve() not in unwanted
    ]
    found = sorted(path for path in found if not any(part.startswith(".") for part in path.parts))
    if not found:
        raise FileNotFoundError(
            f"{folder} holds no audio file ({', '.join(sorted(suffixes)[:6])}…)"
        )
    return found


@dataclass(frozen=True)
class _Claims:
    """What one rule says: for every file the references that it may belong to."""

    by_file: dict[Path, set[str]]

    def settled(self) -> dict[str, Path]:
        """Return the pairs in which each side has only the other."""
        by_reference: dict[str, set[Path]] = defaultdict(set)
        for file, references in self.by_file.items():
            for reference in references:
                by_reference[reference].add(file)
        return {
            reference: file
            for file, references in self.by_file.items()
            for reference in references
            if len(references) == 1 and len(by_reference[reference]) == 1
        }


def match(files: Iterable[Path], names: _Names, pattern: str | None = None) -> dict[str, Path]:
    """Return the file of every reference that has one.

    Args:
        files: paths relative to their folder.
        names: the names that each reference goes by, its id first.
        pattern: a regular expression with a group, in place of the rules.

    Raises:
        ValueError: files and references cannot be told apart, or the pattern is none.
    """
    rules: tuple[_Rule, ...] = _RULES
    if pattern is not None:
        search = _extractor(pattern)
        names = {key: tuple(search(name) or name for name in some) for key, some in names.items()}
        rules = (lambda path, known: known.get(search(path.with_suffix("").as_posix()), set()),)
    pairs: dict[str, Path] = {}
    left = set(files)
    doubtful: dict[Path, set[str]] = {}
    for rule in rules:
        known: dict[str, set[str]] = defaultdict(set)
        for key, some in names.items():
            for name in some if key not in pairs else ():
                known[name].add(key)
        claims = {file: rule(file, known) for file in left}
        new = _Claims({file: keys for file, keys in claims.items() if keys}).settled()
        pairs |= new
        left -= set(new.values())
        doubtful.update((file, keys) for file, keys in claims.items() if keys and file in left)
    _refuse_doubtful({file: keys - set(pairs) for file, keys in doubtful.items() if file in left})
    return pairs


def _refuse_doubtful(doubtful: Mapping[Path, set[str]]) -> None:
    """Raise if a file without a partner may still belong to a reference without one."""
    open_ = sorted((file, keys) for file, keys in doubtful.items() if keys)
    if not open_:
        return
    shown = "; ".join(f"{file} - {_some(keys)}" for file, keys in open_[:_SHOWN])
    more = f"; … ({len(open_)} in all)" if len(open_) > _SHOWN else ""
    raise ValueError(
        f"the names do not tell which estimate belongs to which reference: {shown}{more}. Give a "
        "pattern with a group for what they have in common, as --pair_pattern '(?P<id>utt[0-9]+)'"
    )


def _some(keys: set[str]) -> str:
    shown = ", ".join(sorted(keys)[:3])
    return f"{shown} or {len(keys) - 3} others" if len(keys) > 3 else shown


def _extractor(pattern: str) -> Callable[[str], str]:
    """Return a function that gives what the group finds in a text, "" where it finds nothing."""
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"the pattern {pattern!r} is no regular expression: {error}") from None
    if not compiled.groups:
        raise ValueError(f"the pattern {pattern!r} has no group: put what names share in ( )")
    group: str | int = "id" if "id" in compiled.groupindex else 1

    def search(text: str) -> str:
        found = compiled.search(text)
        return (found.group(group) or "") if found else ""

    return search


def _pieces(text: str) -> Iterable[str]:
    """Yield every part of a text that begins and ends at separators, longest first."""
    gaps = [found.span() for found in _SEPARATOR.finditer(text)]
    starts = [0, *(end for _, end in gaps)]
    ends = [*(start for start, _ in gaps), len(text)]
    spans = [(a, b) for i, a in enumerate(starts) for b in ends[i:] if b > a]
    for a, b in sorted(spans, key=lambda span: span[0] - span[1]):
        yield text[a:b]


def _by_path(file: Path, known: Mapping[str, set[str]]) -> set[str]:
    return set(known.get(file.with_suffix("").as_posix(), ()))


def _by_stem(file: Path, known: Mapping[str, set[str]]) -> set[str]:
    return set(known.get(file.stem, ()))


def _by_folder(file: Path, known: Mapping[str, set[str]]) -> set[str]:
    return set().union(*(known.get(part, ()) for part in file.parts[:-1]))


def _by_part(file: Path, known: Mapping[str, set[str]]) -> set[str]:
    """Take the references with the longest name that the stem holds."""
    longest, found = 0, set[str]()
    for piece in _pieces(file.stem):
        if len(piece) < longest:
            break
        if piece in known:
            longest, found = len(piece), found | known[piece]
    return found


def _by_whole(file: Path, known: Mapping[str, set[str]]) -> set[str]:
    """Take the references one of whose names holds the stem."""
    stem = re.escape(file.stem)
    inside = re.compile(rf"(?<![0-9A-Za-z]){stem}(?![0-9A-Za-z])")
    return set().union(*(keys for name, keys in known.items() if inside.search(name)))


_RULES: tuple[_Rule, ...] = (_by_path, _by_stem, _by_folder, _by_part, _by_whole)
