"""Find each sample's alignment: a TextGrid, the manifest's phone times, or the built-in aligner."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import soundfile

from evaluation.testset.experiment import TestSet

from .aligner import aligned
from .alignment import Alignment, alignment_of, fitted, phones_from_list
from .textgrid import PHONE_TIER, read_textgrid
from .transcript import read_lexicon

__all__ = ["SOURCES", "AlignTask", "Options", "find_alignment", "tasks_of"]

logger = logging.getLogger(__name__)

SOURCES = ("auto", "textgrid", "manifest", "aligner")


@dataclass(frozen=True)
class Options:
    """Where alignments come from.

    Attributes:
        source: one of `SOURCES`; auto: of the others the first that a sample has, in their order.
        textgrids: folder with `<id>.TextGrid` or, for an experiment, `<Sample_ID>.TextGrid` for
            each sample; without it, the files that the manifest names.
        tier: regular expression for the tier of phones.
        transcripts: a table (CSV: id, transcript) instead of the manifest's transcripts.
        lexicon: pronunciations for the aligner.
        alphabet: ipa, arpabet, or auto: as the labels of each source look.
        classes: table of classes.
        cache: where the aligner keeps its results.
    """

    source: str = "auto"
    textgrids: str | None = None
    tier: str = PHONE_TIER
    transcripts: str | None = None
    lexicon: str | None = None
    alphabet: str = "auto"
    classes: str | None = None
    cache: str | None = None

    def __post_init__(self) -> None:
        """Check that the files are there, before any work.

        Raises:
            ValueError: an unknown source.
            FileNotFoundError: a file or folder is missing.
        """
        if self.source not in SOURCES:
            raise ValueError(f"source must be one of {', '.join(SOURCES)}; got {self.source!r}")
        if self.textgrids is not None and not Path(self.textgrids).is_dir():
            raise FileNotFoundError(f"no folder of TextGrids {self.textgrids}")
        for file in (self.transcripts, self.lexicon, self.classes):
            if file is not None and not Path(file).is_file():
                raise FileNotFoundError(f"no file {file}")


@dataclass(frozen=True)
class AlignTask:
    """One sample to align: what is known of it.

    Attributes:
        sample: its `Sample_ID`.
        speech: the clean speech as it is in the mixture.
        textgrids: the files that fit its name, or the manifest's; more than one is an error.
        phones: the manifest's, JSON.
        transcript: what is said.
        options: see `Options`.
        lexicon: pronunciations, read once.
    """

    sample: str
    speech: Path | None
    textgrids: tuple[Path, ...]
    phones: str | None
    transcript: str | None
    options: Options
    lexicon: Mapping[str, str] = field(default_factory=dict, hash=False)


def tasks_of(testset: TestSet, options: Options) -> list[AlignTask]:
    """Return what is known of each sample, in the order of samples.csv.

    Raises:
        FileNotFoundError: there is no sample.
        ValueError: a table of transcripts or a lexicon is not one.
    """
    samples = testset.samples()
    if samples.empty:
        raise FileNotFoundError(f"{testset.folder} holds no samples: run evaluation.infer first")
    signals = testset.signals()
    files = _textgrids(options.textgrids)
    spoken = _transcripts(options.transcripts)
    lexicon = read_lexicon(options.lexicon) if options.lexicon else {}
    tasks = []
    for row in samples.to_dict("records"):
        paths = signals.get(row["Sample_ID"], {})
        names = [str(row["id"]), Path(str(row["id"])).stem]
        if not testset.is_paired:  # the numbers of another system's samples are nobody's names
            names.append(str(row["Sample_ID"]))
        named = _text(row, "textgrid")
        if options.textgrids is not None:
            found = next((files[name] for name in names if name in files), ())
        else:
            found = (Path(named),) if named else ()
        words = _text(row, "transcript") if spoken is None else spoken.get(str(row["id"]))
        task = AlignTask(
            str(row["Sample_ID"]),
            paths.get("speech"),
            tuple(found),
            _text(row, "phones"),
            words,
            options,
            lexicon,
        )
        tasks.append(task)
    return tasks


def _text(row: Mapping[str, object], column: str) -> str | None:
    value = row.get(column)
    return value if isinstance(value, str) and value.strip() else None


def _textgrids(folder: str | None) -> dict[str, tuple[Path, ...]]:
    """Return the TextGrids below a folder by name, without the suffix."""
    found: dict[str, tuple[Path, ...]] = {}
    for path in sorted(Path(folder).rglob("*")) if folder else ():
        if path.suffix.lower() == ".textgrid":
            found[path.stem] = (*found.get(path.stem, ()), path)
    return found


def _transcripts(path: str | None) -> dict[str, str] | None:
    if path is None:
        return None
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    if not {"id", "transcript"} <= set(table):
        raise ValueError(
            f"{path} must have the columns id and transcript; it has {', '.join(table)}"
        )
    return dict(zip(table["id"], table["transcript"], strict=True))


def find_alignment(task: AlignTask) -> Alignment:
    """Return a sample's alignment, cut to its audio.

    Raises:
        ValueError: there is none, or it is of no use; says why.
        FileNotFoundError: a file is missing.
    """
    if task.speech is None or not Path(task.speech).is_file():
        raise FileNotFoundError("there is no clean speech")
    seconds = float(soundfile.info(task.speech).duration)
    source = task.options.source
    wanted = SOURCES[1:] if source == "auto" else (source,)
    for name in wanted:
        found = _FINDERS[name](task)
        if found is not None:
            return fitted(found, seconds)
    lacks = {
        "textgrid": "no TextGrid of its name",
        "manifest": "no phones in the manifest",
        "aligner": "no transcript",
    }
    raise ValueError(", ".join(lacks[name] for name in wanted))


def _of_textgrid(task: AlignTask) -> Alignment | None:
    if len(task.textgrids) > 1:
        names = ", ".join(str(path) for path in task.textgrids)
        raise ValueError(f"several TextGrids of its name: {names}")
    if not task.textgrids:
        return None
    return read_textgrid(task.textgrids[0], task.options.tier)


def _of_manifest(task: AlignTask) -> Alignment | None:
    if task.phones is None:
        return None
    return alignment_of(phones_from_list(json.loads(task.phones)), "manifest")


def _of_transcript(task: AlignTask) -> Alignment | None:
    if task.transcript is None:
        return None
    assert task.speech is not None
    signal, rate = soundfile.read(task.speech, dtype="float64", always_2d=True)
    cache = None if task.options.cache is None else Path(task.options.cache)
    return aligned(signal[:, 0], rate, task.transcript, task.lexicon, cache)


_FINDERS = {"textgrid": _of_textgrid, "manifest": _of_manifest, "aligner": _of_transcript}
