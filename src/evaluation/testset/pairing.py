"""Pairing of any system's files with references, by name.

References come from a manifest (`id`, file names of its microphones) or from folders of audio,
where the path of a target without its suffix is the id. A reference has several *names*: its id,
and the stems of its files. These rules are applied one after the other to files and references that
have no partner yet:

1. the estimate's path in its folder, without suffix, is a name:     `spk1/utt3.wav`, `spk1/utt3`
2. the estimate's stem is a name:                                    `a/utt3.wav`, `utt3`
3. one of the estimate's folders is a name:                          `utt3/enhanced.wav`, `utt3`
4. the estimate's stem holds a name between separators, the longest: `net_utt3-enh.wav`, `utt3`
5. a name holds the estimate's stem between separators:              `utt3.wav`, `clean_utt3`
6. stem and name are equal without their role, a word as `clean` or
   `enhanced` at the start or the end:                               `3_enhanced.wav`, `3_clean`

Separators are neither letters nor digits in any script; letters are compared in Unicode's composed
form (NFC), whichever form the file system has. A regular expression with a group (called `id`, else
the first one) replaces all six: its match in the estimate's path must be its match in a name, or
the name itself.

Two estimates for one reference, or two references for one estimate, are refused, never guessed.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, groupby, pairwise
from pathlib import Path

from seloss.data.formats.audio import SUFFIXES
from seloss.data.formats.audio_files import find_audio

__all__ = ["audio_files", "match"]

# Words that name a signal beside its id.
ROLES = frozenset(
    {
        *("clean", "noisy", "noise", "speech", "mixture", "mixed", "mix", "target"),
        *("reference", "ref", "estimate", "estimated", "est", "enhanced", "enh", "denoised"),
        *("output", "out", "processed"),
    }
)
_SHOWN = 10

_Names = Mapping[str, tuple[str, ...]]


def audio_files(folder: str | Path, *, leave_out: Iterable[Path] = ()) -> list[Path]:
    """Return every audio file below a folder, relative to it, in order; hidden ones do not count.

    Raises:
        FileNotFoundError: there is no such folder, or no audio in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}")
    unwanted = {path.resolve() for path in leave_out}
    paths = [path for path in find_audio(folder) if path.resolve() not in unwanted]
    if not paths:
        shown = ", ".join(sorted(SUFFIXES)[:6])
        raise FileNotFoundError(f"{folder} holds no audio file ({shown}…)")
    return sorted(path.relative_to(folder) for path in paths)


@dataclass(frozen=True)
class _Rule:
    """A way to pair.

    Attributes:
        of_name: under which texts a reference of this name is looked up.
        of_file: the texts to look up for a file, in groups; the first group with a hit counts.
    """

    of_name: Callable[[str], Iterable[str]]
    of_file: Callable[[Path], Iterable[Iterable[str]]]

    def claims(self, files: Iterable[Path], names: _Names) -> dict[Path, set[str]]:
        """Return for each file the references that it may belong to, if there are any."""
        references: dict[str, set[str]] = defaultdict(set)
        for key, own in names.items():
            for name in own:
                for text in self.of_name(name):
                    references[text].add(key)
        claims = {}
        for file in files:
            for group in self.of_file(file):
                hits = set[str]().union(*(references.get(text, ()) for text in group))
                if hits:
                    claims[file] = hits
                    break
        return claims


def match(files: Iterable[Path], names: _Names, pattern: str | None = None) -> dict[str, Path]:
    """Return the file of every reference that has one.

    Args:
        files: paths relative to their folder.
        names: of each reference, its id first.
        pattern: a regular expression with a group, in place of the rules.

    Raises:
        ValueError: files and references cannot be distinguished, or the pattern is none.
    """
    rules: tuple[_Rule, ...] = _RULES
    if pattern is not None:
        search = _extractor(pattern)
        rules = (
            _Rule(
                lambda name: [search(_composed(name)) or _composed(name)],
                lambda file: [[search(_composed(file.with_suffix("").as_posix()))]],
            ),
        )
    pairs: dict[str, Path] = {}
    left = set(files)
    doubtful: dict[Path, set[str]] = {}
    for rule in rules:
        # A file that several references claim stays doubtful unless a later rule pairs it.
        claims = rule.claims(left, {key: own for key, own in names.items() if key not in pairs})
        new = _settled(claims)
        pairs |= new
        left -= set(new.values())
        doubtful |= {file: keys for file, keys in claims.items() if file in left}
    _refuse_doubtful({file: keys - set(pairs) for file, keys in doubtful.items() if file in left})
    return pairs


def _settled(claims: Mapping[Path, set[str]]) -> dict[str, Path]:
    """Return the pairs in which each side has only the other."""
    files: dict[str, set[Path]] = defaultdict(set)
    for file, references in claims.items():
        for reference in references:
            files[reference].add(file)
    return {
        reference: file
        for file, references in claims.items()
        for reference in references
        if len(references) == 1 and len(files[reference]) == 1
    }


def _refuse_doubtful(doubtful: Mapping[Path, set[str]]) -> None:
    """Raise if a file without a partner may still belong to a reference without one."""
    open_ = sorted((file, keys) for file, keys in doubtful.items() if keys)
    if not open_:
        return
    shown = "; ".join(f"{file} - {_some(keys)}" for file, keys in open_[:_SHOWN])
    more = f"; … ({len(open_)} in all)" if len(open_) > _SHOWN else ""
    raise ValueError(
        f"the names do not tell which estimate belongs to which reference: {shown}{more}. Give a "
        "pattern with a group for the part in common, as --pair_pattern '(?P<id>utt[0-9]+)'"
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
        hit = compiled.search(text)
        return (hit.group(group) or "") if hit else ""

    return search


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _words(text: str) -> list[tuple[int, int]]:
    """Return start and end of every run of letters and digits, in any script."""
    # Vowel signs and accents that do not compose (category M) belong to their letter.
    is_word = [c.isalnum() or unicodedata.category(c).startswith("M") for c in text]
    edges = [0, *(i for i in range(1, len(text)) if is_word[i] != is_word[i - 1]), len(text)]
    return [(start, end) for start, end in pairwise(edges) if start < end and is_word[start]]


def _pieces(text: str) -> Iterator[list[str]]:
    """Yield the parts of a text that begin and end at separators, those of one length together.

    The longest come first.
    """
    text = _composed(text)
    words = _words(text)
    spans = [(start, end) for i, (start, _) in enumerate(words) for _, end in words[i:]]
    by_length = sorted(spans, key=lambda span: span[0] - span[1])
    for _, same in groupby(by_length, key=lambda span: span[1] - span[0]):
        yield [text[start:end] for start, end in same]


def _bare(text: str) -> list[str]:
    """Return a text without separators at its ends, if anything is left."""
    return next(_pieces(text), [])


def _without_role(text: str) -> list[str]:
    """Return a text without the roles at its ends, if there are some and anything is left."""
    text = _composed(text)
    words = _words(text)
    kept = list(words)
    while kept and text[slice(*kept[0])].casefold() in ROLES:
        kept.pop(0)
    while kept and text[slice(*kept[-1])].casefold() in ROLES:
        kept.pop()
    return [text[kept[0][0] : kept[-1][1]]] if 0 < len(kept) < len(words) else []


_RULES = (
    _Rule(
        lambda name: [_composed(name)], lambda file: [[_composed(file.with_suffix("").as_posix())]]
    ),
    _Rule(lambda name: [_composed(name)], lambda file: [[_composed(file.stem)]]),
    _Rule(lambda name: [_composed(name)], lambda file: [map(_composed, file.parts[:-1])]),
    _Rule(_bare, lambda file: _pieces(file.stem)),
    _Rule(lambda name: chain.from_iterable(_pieces(name)), lambda file: [_bare(file.stem)]),
    _Rule(_without_role, lambda file: [_without_role(file.stem)]),
)
