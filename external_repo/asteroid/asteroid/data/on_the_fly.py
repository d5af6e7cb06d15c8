"""Speech and noise mixed while training: in every epoch each utterance meets another noise.

The lists are a JSON object; paths are relative to it::

    {"sample_rate": 16000, "snr_db": [0, 5, 10, 15],
     "speech": [{"id": "p226_001", "path": "wav/p226_001.wav", "speaker": "p226"}],
     "noise": [{"path": "noise/DKITCHEN.wav", "noise_type": "DKITCHEN"}]}

``snr_db`` lists the ratios to draw from, or is ``{"from": -5, "to": 10}``. Every draw follows from
seed, epoch and id, so a resumed run hears what it would have heard, in whichever worker.
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from ..utils.files import write_text
from .additive import mix_at_snr
from .batch import Item, ItemFacts
from .draw import generator
from .excerpt import length_at, read_lively, read_part
from .listing import Recording, short_names
from .mixture import DataError, Problem
from .validation import find_file_problems

__all__ = ["OnTheFlyDataset", "SourceLists", "read_source_lists", "write_source_lists"]

_EXPECTED = "expected an object with sample_rate, snr_db, speech and noise"
Key = tuple[int, int]


@dataclass(frozen=True)
class SourceLists:
    """What is mixed.

    Attributes:
        sample_rate: Of every file, Hz.
        snr_db: Ratios to draw from.
        snr_range: Lowest and highest ratio to draw between, in place of ``snr_db``.
        speech: id, file and speaker of each utterance.
        noise: file and type of each noise.
    """

    sample_rate: int
    snr_db: tuple[float, ...]
    snr_range: tuple[float, float] | None
    speech: tuple[tuple[str, Path, str | None], ...]
    noise: tuple[tuple[Path, str], ...]


def _ratios(told: Any) -> tuple[tuple[float, ...], tuple[float, float] | None]:
    span = isinstance(told, dict) and {"from", "to"} <= told.keys()
    values = [told["from"], told["to"]] if span else told
    good = isinstance(values, list) and values
    if not good or not all(isinstance(v, (int, float)) and math.isfinite(v) for v in values):
        raise ValueError(f"'snr_db' must list ratios, or be {{'from': .., 'to': ..}}; got {told!r}")
    if span:
        return (), (float(values[0]), float(values[1]))
    return tuple(float(v) for v in values), None


def _entries(
    told: Any, part: str, folder: Path, keys: Sequence[str]
) -> list[tuple[Path, dict[str, Any]]]:
    if not isinstance(told, list) or not told:
        raise ValueError(f"{part!r} must be a list of at least one {{'path': ...}}")
    for at, entry in enumerate(told):
        lacking = [key for key in keys if not isinstance(entry, dict) or key not in entry]
        if lacking:
            raise ValueError(f"{part!r} number {at + 1} has no {lacking[0]!r}")
    return [(Path(os.path.normpath(folder / entry["path"])), entry) for entry in told]


def read_source_lists(path: str | Path, *, sample_rate: int) -> SourceLists:
    """Read the lists and check every file they name.

    Raises:
        FileNotFoundError: If there is no such file.
        DataError: If the lists or a file cannot be used; names the first ten.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no lists {path}; scripts/data/voicebank_demand.py writes them")
    folder = path.absolute().parent
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(told, dict) or "sample_rate" not in told:
            raise ValueError(_EXPECTED)
        choices, span = _ratios(told.get("snr_db"))
        speech = _entries(told.get("speech"), "speech", folder, ("id", "path"))
        noise = _entries(told.get("noise"), "noise", folder, ("path", "noise_type"))
    except ValueError as error:
        raise DataError(str(path), [Problem(0, "lists", str(error))]) from None
    if told["sample_rate"] != sample_rate:
        what = f"'sample_rate' is {told['sample_rate']} Hz, expected {sample_rate}; prepare it anew"
        raise DataError(str(path), [Problem(0, "lists", what)])
    counts = Counter(entry["id"] for _, entry in speech)
    problems = [Problem(0, name, "is given twice") for name, n in counts.items() if n > 1]
    problems += find_file_problems(
        [file for file, _ in (*speech, *noise)],
        sample_rate=sample_rate,
        cache=path.with_name(f".{path.stem}.checked.json"),
    )
    if problems:
        raise DataError(str(path), problems)
    return SourceLists(
        sample_rate,
        choices,
        span,
        tuple((entry["id"], file, entry.get("speaker")) for file, entry in speech),
        tuple((file, entry["noise_type"]) for file, entry in noise),
    )


def write_source_lists(
    path: str | Path,
    speech: Iterable[Recording],
    noise: Iterable[Recording],
    *,
    sample_rate: int,
    snr_db: Sequence[float] | Mapping[str, float],
) -> None:
    """Write the lists in one step, with paths relative to them."""
    path, speech = Path(path), list(speech)
    ids = short_names(speech)

    def relative(one: Recording) -> str:
        return Path(os.path.relpath(one.path, path.absolute().parent)).as_posix()

    told = {
        "sample_rate": sample_rate,
        "snr_db": dict(snr_db) if isinstance(snr_db, Mapping) else list(snr_db),
        "speech": [
            {"id": ids[one.name], "path": relative(one), "speaker": one.group} for one in speech
        ],
        "noise": [{"path": relative(one), "noise_type": one.group} for one in noise],
    }
    write_text(path, json.dumps(told, indent=1, ensure_ascii=False) + "\n")


class OnTheFlyDataset(Dataset[Item]):
    """One item per utterance and epoch: the utterance in a noise drawn for this epoch.

    Args:
        lists: What `read_source_lists` returned.
        segment_s: Longest excerpt of an utterance in seconds, at a random place; None: whole ones.
        seed: Of everything random.
    """

    def __init__(
        self, lists: SourceLists, *, segment_s: float | None = None, seed: int = 0
    ) -> None:
        if segment_s is not None and segment_s * lists.sample_rate < 1:
            raise ValueError(f"segment_s must be None or at least one sample; got {segment_s!r}")
        self.lists = lists
        self.sample_rate = lists.sample_rate
        self.segment = None if segment_s is None else round(segment_s * lists.sample_rate)
        self.seed = seed

    def __len__(self) -> int:
        """Return the number of utterances."""
        return len(self.lists.speech)

    @property
    def items(self) -> list[ItemFacts]:
        """What is known about each item, whatever the epoch."""
        return [ItemFacts(name, speaker) for name, _, speaker in self.lists.speech]

    def draw(self, epoch: int, index: int) -> tuple[Path, str, float, np.random.Generator]:
        """Return the noise, its type and the ratio of an item, and what draws the rest."""
        draw = generator(self.seed, epoch, self.lists.speech[index][0])
        kinds = sorted({kind for _, kind in self.lists.noise})
        kind = kinds[int(draw.integers(len(kinds)))]
        files = [file for file, found in self.lists.noise if found == kind]
        noise = files[int(draw.integers(len(files)))]
        if self.lists.snr_range:
            return noise, kind, float(draw.uniform(*self.lists.snr_range)), draw
        ratios = self.lists.snr_db
        return noise, kind, ratios[int(draw.integers(len(ratios)))], draw

    def __getitem__(self, key: int | Key) -> Item:
        """Return item ``(epoch, index)``; an index alone means epoch 0."""
        epoch, index = key if isinstance(key, tuple) else (0, key)
        name, file, _ = self.lists.speech[index]
        noise_file, _, ratio, draw = self.draw(epoch, index)
        length = length_at(file, self.sample_rate)
        n_samples = min(length, self.segment or length)
        if n_samples < length:
            speech = read_lively(file, self.sample_rate, n_samples, draw)
        else:
            speech = read_part(file, self.sample_rate, 0, n_samples)
        noise = read_lively(noise_file, self.sample_rate, n_samples, draw)
        sources = np.stack(mix_at_snr(speech, noise, ratio)).astype(np.float32)
        return Item(
            torch.from_numpy(sources.sum(axis=0, keepdims=True)), torch.from_numpy(sources), name
        )
