"""References of a folder of estimates: a manifest, or folders of speech, noise and mixtures."""

from __future__ import annotations

import json
import logging
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from evaluation.work.tables import read_table
from seloss.data.formats.manifest import Mixture, read_manifest

from .pairing import audio_files, match
from .testset import some

__all__ = ["EARS", "Reference", "References", "facts_of"]

logger = logging.getLogger(__name__)

# The microphones that are the left and the right ear, counted from 1.
EARS = (1, 2)
# The option that names the folder of a signal.
_OPTIONS = {"speech": "--targets", "mixture": "--mixtures", "noise": "--noises"}


@dataclass(frozen=True)
class Reference:
    """One utterance's reference.

    Attributes:
        id: unique.
        names: the id first; see `evaluation.testset.pairing`.
        paths: file by signal: mixture, speech, noise, and `<signal>_left`, `<signal>_right`.
        facts: other columns of `samples.csv`, as its speaker.
    """

    id: str
    names: tuple[str, ...]
    paths: Mapping[str, Path]
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class References:
    """Places of references: give `manifest`, or `targets` and other folders.

    Attributes:
        manifest: of mixtures; microphone 1 is the reference, `ears` are for binaural metrics.
        targets: folder of clean speech.
        noises: folder of the noise in each mixture.
        mixtures: folder of the unprocessed mixtures.
        pattern: a regular expression with a group, for names no rule pairs.
        ears: the microphones of the manifest at the left and the right ear, from 1.
        information: a table (CSV) with a column `id` and others, as speaker, noise_type, snr_db,
            seen, transcript, textgrid; for folders.
    """

    manifest: Path | None = None
    targets: Path | None = None
    noises: Path | None = None
    mixtures: Path | None = None
    pattern: str | None = None
    ears: tuple[int, int] = EARS
    information: Path | None = None

    def __post_init__(self) -> None:
        """Check that there is either a manifest or folders."""
        folders = (self.targets, self.noises, self.mixtures)
        if (self.manifest is None) == all(folder is None for folder in folders):
            raise ValueError(
                "estimates are scored against either a manifest (--input_json) or folders "
                "(--targets, with --noises and --mixtures where there are some): give one type"
            )
        if self.manifest is None and self.targets is None and self.mixtures is None:
            raise ValueError("the noise alone is no reference: give --targets or --mixtures too")

    @property
    def folders(self) -> dict[str, Path]:
        """The folder of each signal that has one."""
        folders = {"speech": self.targets, "mixture": self.mixtures, "noise": self.noises}
        return {name: Path(folder) for name, folder in folders.items() if folder is not None}

    def read(self) -> list[Reference]:
        """Return every reference.

        Raises:
            FileNotFoundError: a manifest or folder is missing or empty.
            ValueError: the files of two folders cannot be paired.
        """
        if self.manifest is not None:
            return [_of_mixture(item, self.ears) for item in read_manifest(self.manifest)]
        return self._of_folders()

    def _of_folders(self) -> list[Reference]:
        """Pair the folders with the first of targets, mixtures, whose paths are the ids."""
        given = self.folders
        first, base = next(iter(given.items()))
        own = {path.with_suffix("").as_posix(): path for path in audio_files(base)}
        paths = {key: {first: base / path} for key, path in own.items()}
        names = {key: tuple(dict.fromkeys((key, path.stem))) for key, path in own.items()}
        for role, folder in given.items():
            if role == first:
                continue
            files = audio_files(folder)
            pairs = match(files, names, self.pattern)
            _report_unpaired(
                f"{_OPTIONS[role]} {folder}", list(map(str, files)), list(pairs), list(own)
            )
            for key, path in pairs.items():
                paths[key][role] = folder / path
                names[key] = tuple(dict.fromkeys((*names[key], path.stem)))
        facts = self._information(list(own))
        return [Reference(key, names[key], paths[key], facts.get(key, {})) for key in own]

    def _information(self, ids: Sequence[str]) -> dict[str, dict[str, object]]:
        """Return the table's row of each reference, by id."""
        if self.information is None:
            return {}
        table = read_table(self.information)
        if "id" not in table or table["id"].duplicated().any():
            raise ValueError(
                f"{self.information} must have a column 'id' without doubles: one row per reference"
            )
        composed = {unicodedata.normalize("NFC", key): key for key in ids}
        rows = {
            composed.get(unicodedata.normalize("NFC", str(name)), str(name)): row
            for name, row in table.set_index("id").to_dict("index").items()
        }
        _report_unpaired(
            f"--information {self.information}",
            list(rows),
            [key for key in ids if key in rows],
            ids,
        )
        return rows


def _report_unpaired(
    source: str, names: Sequence[str], paired: Sequence[str], ids: Sequence[str]
) -> None:
    """Log the references that a folder or table lacks.

    Raises:
        ValueError: it lacks all of them.
    """
    shown = f"it has {some(names, 3)}; references are {some(ids, 3)}"
    if not paired:
        raise ValueError(f"{source} fits no reference by name: {shown}")
    left = len(ids) - len(paired)
    if left:
        without = [key for key in ids if key not in set(paired)]
        logger.warning(
            "%s has nothing for %d of %d references: %s", source, left, len(ids), some(without, 3)
        )


def facts_of(item: Mixture) -> dict[str, object]:
    """Return the columns of `samples.csv` that a manifest gives for a mixture."""
    phones = item.extra.get("phones")
    return {
        "speaker": item.speaker,
        "noise_type": item.noise_type,
        "snr_db": item.snr_db,
        "seen": item.seen,
        "n_mics": item.n_mics,
        "transcript": item.transcript,
        "textgrid": None if item.textgrid is None else str(item.textgrid),
        "phones": None if phones is None else json.dumps(phones, ensure_ascii=False),
        "speech_file": item.speech_file,
    }


def _of_mixture(item: Mixture, ears: tuple[int, int]) -> Reference:
    signals = {"mixture": item.mixture, "speech": item.speech, "noise": item.noise}
    paths = {name: files[0] for name, files in signals.items() if files}
    for name, files in signals.items():
        for side, microphone in zip(("left", "right"), ears, strict=True):
            if max(ears) <= len(files):
                paths[f"{name}_{side}"] = files[microphone - 1]
    stems = [paths[name].stem for name in signals if name in paths]
    return Reference(item.id, tuple(dict.fromkeys((item.id, *stems))), paths, facts_of(item))
