"""Alignments: the phones of an utterance in time, in one form for all sources."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Alignment", "Phone", "alignment_of", "fitted", "phones_from_list"]

# An alignment that extends further behind the audio's end is probably of other audio.
OVERHANG_S = 0.05


@dataclass(frozen=True, order=True)
class Phone:
    """One phone, or a pause: start and end in seconds, the label of the source."""

    start: float
    end: float
    label: str


@dataclass(frozen=True)
class Alignment:
    """The phones of one utterance in their order, which do not overlap.

    Attributes:
        phones: Pauses may be among them, or gaps between them.
        source: textgrid, manifest or aligner.
        notes: Repairs and doubts, for the user.
        fit: Of the built-in aligner: how well the transcript fits the audio; see ``aligner``.
        seconds: Where a TextGrid ends, as long as the audio it was made of.
    """

    phones: tuple[Phone, ...]
    source: str
    notes: tuple[str, ...] = ()
    fit: float | None = None
    seconds: float | None = None


def alignment_of(
    phones: Iterable[Phone], source: str, *, seconds: float | None = None
) -> Alignment:
    """Put phones in order and repair what can be: empty ones go, overlaps end at the next start.

    Raises:
        ValueError: A time is not finite or negative, a phone ends before it starts, or there is
            none.
    """
    ordered = sorted(phones)
    for phone in ordered:
        if not (math.isfinite(phone.start) and math.isfinite(phone.end)):
            raise ValueError(f"phone {phone.label!r} has a time that is not finite")
        if phone.start < 0 or phone.end < phone.start:
            raise ValueError(
                f"phone {phone.label!r} from {phone.start:g} to {phone.end:g} s: times must not be "
                "negative, nor the end before the start"
            )
    kept = [phone for phone in ordered if phone.end > phone.start]
    if not kept:
        raise ValueError("there is no phone in it")
    notes = []
    if len(kept) < len(ordered):
        notes.append(f"{len(ordered) - len(kept)} phone(s) without duration left out")
    cut, n_cut = _without_overlap(kept)
    if n_cut:
        notes.append(f"{n_cut} phone(s) overlap the next: ended at its start")
    return Alignment(tuple(cut), source, tuple(notes), seconds=seconds)


def _without_overlap(phones: Sequence[Phone]) -> tuple[list[Phone], int]:
    """End each phone at the next one's start; of two that start at once the longer one goes."""
    cut, n_cut = [], 0
    following = [*(phone.start for phone in phones[1:]), math.inf]
    for phone, start in zip(phones, following, strict=True):
        n_cut += phone.end > start + 1e-4  # less is the rounding of a text file
        end = min(phone.end, start)
        if end > phone.start:
            cut.append(Phone(phone.start, end, phone.label))
    return cut, n_cut


def fitted(alignment: Alignment, seconds: float) -> Alignment:
    """Cut an alignment at the end of the audio, with a note where much of it was behind.

    Raises:
        ValueError: All of it lies behind the end.
    """
    last = alignment.phones[-1].end
    phones = [
        Phone(phone.start, min(phone.end, seconds), phone.label)
        for phone in alignment.phones
        if phone.start < seconds
    ]
    if not phones:
        raise ValueError(
            f"the alignment starts at {alignment.phones[0].start:.2f} s, the audio ends at "
            f"{seconds:.2f} s: it is of another recording"
        )
    notes = alignment.notes
    if last > seconds + OVERHANG_S:
        lost = len(alignment.phones) - len(phones)
        notes = (
            *notes,
            f"ends at {last:.2f} s, the audio at {seconds:.2f} s: cut, {lost} phone(s) "
            "lost; is it of this recording?",
        )
    return dataclasses.replace(alignment, phones=tuple(phones), notes=notes)


def phones_from_list(value: object) -> list[Phone]:
    """Read phone times as a manifest has them: ``[[start, end, label], ...]``, in seconds.

    Raises:
        ValueError: It is something else.

    Example:
        >>> phones_from_list([[0.1, 0.25, "AA1"]])
        [Phone(start=0.1, end=0.25, label='AA1')]
    """
    if not isinstance(value, list):
        raise ValueError(f"'phones' must be a list of [start, end, label]; got {value!r:.60}")
    phones = []
    for number, entry in enumerate(value, start=1):
        valid = isinstance(entry, list) and len(entry) == 3
        # bool is a subclass of int
        if not (valid and all(type(time) in (int, float) for time in entry[:2])):
            raise ValueError(
                f"'phones', entry {number}: expected [start, end, label], times in seconds; "
                f"got {entry!r:.60}"
            )
        phones.append(Phone(float(entry[0]), float(entry[1]), str(entry[2])))
    return phones
