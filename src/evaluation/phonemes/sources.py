"""Sources of alignments: TextGrids, the manifest's phone times, the built-in aligner."""

from __future__ import annotations

import json
import logging
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path, PurePath

import pandas as pd
import soundfile

from evaluation.testset.spoken_text import read_transcripts
from evaluation.testset.testset import TestSet, some
from seloss.data.formats.audio import read_samples
from seloss.data.formats.audio_files import walk_files

from .aligner import aligned
from .alignment import Alignment, alignment_of, fitted, phones_from_list
from .options import SOURCES, AlignmentOptions
from .pronunciation import read_lexicon
from .textgrid import read_textgrid

__all__ = ["AlignTask", "find_alignment", "pair_textgrids", "tasks_of"]

logger = logging.getLogger(__name__)

_SUFFIXES = (".textgrid", ".json")
# Names of the speech in a mixture's folder, whose alignment goes before others.
_SPEECH = ("speech", "clean", "target")
#: A TextGrid of the source recording fits a mixture of the whole recording, of this length.
WHOLE_S = 0.05


@dataclass(frozen=True)
class AlignTask:
    """One sample to align.

    Attributes:
        sample: Its ``Sample_ID``.
        speech: The clean speech as it is in the mixture.
        textgrids: The files that fit its name, or the manifest's; more than one is an error.
        is_recording: Whether they are of the recording that the speech was taken from.
        phones: The manifest's, JSON.
        transcript: The spoken text.
        options: See ``AlignmentOptions``.
        lexicon: Pronunciations, read once.
    """

    sample: str
    speech: Path | None
    textgrids: tuple[Path, ...]
    is_recording: bool
    phones: str | None
    transcript: str | None
    options: AlignmentOptions
    lexicon: Mapping[str, str] = field(default_factory=dict, hash=False)


def tasks_of(testset: TestSet, options: AlignmentOptions) -> list[AlignTask]:
    """Return the task of each sample, in the order of samples.csv.

    Raises:
        FileNotFoundError: There is no sample.
        ValueError: A table of transcripts or a lexicon is invalid; the given TextGrids or
            transcripts belong to no sample.
    """
    samples = testset.samples()
    if samples.empty:
        raise FileNotFoundError(f"{testset.folder} holds no samples: run evaluation.infer first")
    grids: dict[str, tuple[tuple[Path, ...], bool]] = {}
    if options.textgrids is not None and options.source in ("auto", "textgrid"):
        grids = pair_textgrids(Path(options.textgrids), testset, samples)
    ids = [str(name) for name in samples["id"]]
    spoken = read_transcripts(options.transcripts, ids) if options.transcripts else None
    lexicon = read_lexicon(options.lexicon) if options.lexicon else {}
    signals = testset.signals()
    tasks = []
    for row in samples.to_dict("records"):
        sample, named = str(row["Sample_ID"]), _text(row, "textgrid")
        if options.textgrids is not None:
            files, is_recording = grids.get(sample, ((), False))
        else:
            files, is_recording = (Path(named),) if named else (), False
        tasks.append(
            AlignTask(
                sample,
                signals.get(sample, {}).get("speech"),
                files,
                is_recording,
                _text(row, "phones"),
                _text(row, "transcript") if spoken is None else spoken.get(str(row["id"])),
                options,
                lexicon,
            )
        )
    return tasks


def _text(row: Mapping[str, object], column: str) -> str | None:
    value = row.get(column)
    return value if isinstance(value, str) and value.strip() else None


def pair_textgrids(
    folder: Path, testset: TestSet, samples: pd.DataFrame
) -> dict[str, tuple[tuple[Path, ...], bool]]:
    """Return the TextGrids of each sample that has some, and whether they are of its recording.

    Of these rules the first that hits counts: a file has the sample's name (its id, that of its
    speech file, in an experiment its ``Sample_ID``); a folder has its id, as when an aligner ran
    over folders of mixtures; a file has the name of the recording that the manifest names as the
    source of the speech, with as many of its folders as tell it from others.

    Raises:
        ValueError: None belongs to a sample.
    """
    files = [path.relative_to(folder) for path in _grid_files(folder)]
    by_stem, by_folder = defaultdict(list), defaultdict(list)
    for file in files:
        by_stem[file.stem].append(file)
        for part in file.parts[:-1]:
            by_folder[part].append(file)
    speech = {sample: paths.get("speech") for sample, paths in testset.signals().items()}
    stems = Counter(path.stem for path in speech.values() if path)
    pairs: dict[str, tuple[tuple[Path, ...], bool]] = {}
    for row in samples.to_dict("records"):
        sample, name = str(row["Sample_ID"]), str(row["id"])
        path = speech.get(sample)
        own = path.stem if path and testset.is_paired else sample
        hits = _nearest(by_stem.get(name) or by_stem.get(PurePath(name).stem, []), PurePath(name))
        hits = hits or _of_speech(by_folder.get(name, []), own)
        if not hits and stems[own] <= 1:  # a name that all have, as speech_mic1, identifies none
            hits = by_stem.get(own, [])
        recording = None if hits else _text(row, "speech_file")
        if recording is not None:
            hits = _nearest(by_stem.get(PurePath(recording).stem, []), PurePath(recording))
        if hits:
            pairs[sample] = tuple(folder / file for file in hits), recording is not None
    if not pairs:
        raise ValueError(
            f"no TextGrid of {folder} belongs to a sample: TextGrids are "
            f"{some([str(file) for file in files], 3)}; samples are "
            f"{some([str(name) for name in samples['id']], 3)}"
        )
    if alone := [str(row) for row in samples["Sample_ID"] if str(row) not in pairs]:
        logger.warning("%d sample(s) have no TextGrid in %s: %s", len(alone), folder, some(alone))
    return pairs


def _grid_files(folder: Path) -> Iterator[Path]:
    """Yield the TextGrids below a folder, also behind links, in order."""
    files = [path for path in walk_files(folder) if path.suffix.lower() in _SUFFIXES]
    grids = {path for path in files if path.suffix.lower() == ".textgrid"}
    # Of an utterance in both formats the TextGrid counts.
    yield from (
        path for path in files if path in grids or path.with_suffix(".TextGrid") not in grids
    )


def _of_speech(files: Sequence[Path], own: str) -> Sequence[Path]:
    """Return the file of the speech, at the first microphone, among those of one mixture."""
    for start in (own, *_SPEECH):
        if hits := [file for file in files if file.stem.startswith(start)]:
            return hits[:1]
    return files


def _nearest(files: Sequence[Path], path: PurePath) -> Sequence[Path]:
    """Return the files that share most of a path's folders, from the innermost on."""

    def shared(file: Path) -> int:
        pairs = zip(reversed(file.parts[:-1]), reversed(path.parts[:-1]), strict=False)
        return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))

    most = max(map(shared, files), default=0)
    return [file for file in files if shared(file) == most]


def find_alignment(task: AlignTask) -> Alignment:
    """Return a sample's alignment, cut to its audio.

    Raises:
        ValueError: There is none, or it is unusable; the message has the reason.
        FileNotFoundError: A file is missing.
    """
    if task.speech is None or not Path(task.speech).is_file():
        raise FileNotFoundError("there is no clean speech")
    seconds = float(soundfile.info(task.speech).duration)
    source = task.options.source
    requested = SOURCES[1:] if source == "auto" else (source,)
    for name in requested:
        alignment = _FINDERS[name](task, seconds)
        if alignment is not None:
            return fitted(alignment, seconds)
    lacks = {
        "textgrid": "no TextGrid of its name",
        "manifest": "no phones in the manifest",
        "aligner": "no transcript",
    }
    raise ValueError(", ".join(lacks[name] for name in requested))


def _of_textgrid(task: AlignTask, seconds: float) -> Alignment | None:
    if len(task.textgrids) > 1:
        names = ", ".join(str(path) for path in task.textgrids)
        raise ValueError(f"several TextGrids of its name: {names}")
    if not task.textgrids:
        return None
    alignment = read_textgrid(task.textgrids[0], task.options.tier)
    if task.is_recording and abs((alignment.seconds or 0.0) - seconds) > WHOLE_S:
        raise ValueError(
            f"{task.textgrids[0]} lasts {alignment.seconds:.2f} s, the speech {seconds:.2f} s: it "
            "is not of the whole recording, so its times do not fit"
        )
    return alignment


def _of_manifest(task: AlignTask, seconds: float) -> Alignment | None:
    if task.phones is None:
        return None
    return alignment_of(phones_from_list(json.loads(task.phones)), "manifest")


def _of_transcript(task: AlignTask, seconds: float) -> Alignment | None:
    if task.transcript is None:
        return None
    assert task.speech is not None
    signal, rate = read_samples(task.speech)
    cache = None if task.options.cache is None else Path(task.options.cache)
    return aligned(signal[:, 0], rate, task.transcript, task.lexicon, cache)


_FINDERS = {"textgrid": _of_textgrid, "manifest": _of_manifest, "aligner": _of_transcript}
