#!/usr/bin/env python3
"""List speech, noise and room responses to be mixed while training; fix a validation set.

Takes any number of folders of each kind (with a manifest.csv or without), the recordings of one
split, and leaves out what --exclude_licence matches. What a training makes of them is said by
--options, a YAML file with the keys of the lists, such as snr_db, level_db, room_probability.
With --arrays (responses of arrays, as simulate_rooms.py writes them) mixtures have several
microphones. With --fix N it also writes N mixtures of them as an array, the same in every
validation; with --fix_folder, as files in folders noisy and clean too.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from seloss.data import open_dataset
from seloss.data.corpus.listing import read_folder, write_listing
from seloss.data.corpus.recording import Recording
from seloss.data.load.fixed_set import write_fixed_set, write_pairs
from seloss.data.load.on_the_fly_dataset import OnTheFlyDataset
from seloss.data.load.source_lists import read_source_lists, write_source_lists
from seloss.program import run_command

_PARTS = {
    "speech": "clean speech",
    "noise": "noise",
    "rooms": "room responses",
    "arrays": "responses of arrays, a folder for each room",
}


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = options.add_argument
    for part, what in _PARTS.items():
        needed = part in ("speech", "noise")
        add(f"--{part}", type=Path, nargs="+", required=needed, help=f"folders of {what}")
    add("--split", default="train", help="which recordings (default: %(default)s; all: every one)")
    add("--exclude_licence", metavar="PATTERN", help="leave out files whose licence matches it")
    add("--options", type=Path, help="YAML file: snr_db and how mixtures are made")
    add("--excerpt", type=float, help="repeat an utterance for each excerpt of so many seconds")
    add("--sample_rate", type=int, default=16000, help="Hz (default: %(default)s)")
    add("--out", type=Path, required=True, help="the lists (.json)")
    add("--fix", type=int, metavar="N", help="write N mixtures of them beside it (.npy)")
    add("--fix_folder", type=Path, help="write these as FOLDER/noisy and FOLDER/clean, too")
    add("--fix_seconds", type=float, default=4.0, help="their longest (default: %(default)s)")
    add("--seed", type=int, default=0, help="of the fixed mixtures (default: %(default)s)")
    return options


def _recordings(
    folders: list[Path], part: str, options: argparse.Namespace, pattern: re.Pattern[str] | None
) -> list[Recording]:
    """Return the recordings of a split, named by folder where there are several."""
    chosen: list[Recording] = []
    for number, folder in enumerate(folders):
        prefix = f"{number}/" if len(folders) > 1 else ""
        for recording in read_folder(folder, part):
            selected = options.split == "all" or recording.split in (None, options.split)
            if selected and not (pattern and pattern.search(recording.licence or "none given")):
                chosen.append(replace(recording, name=prefix + recording.name))
    if not chosen:
        where = ", ".join(str(folder) for folder in folders)
        raise ValueError(f"no {part} of split {options.split} is left in {where}")
    minutes, groups = (
        sum(recording.seconds for recording in chosen) / 60,
        {recording.group for recording in chosen},
    )
    print(f"{part}: {len(chosen)} files, {minutes:.1f} min, {len(groups)} groups")
    return chosen


def _mixing(path: Path | None) -> dict[str, Any]:
    """Return the options of the mixing by name."""
    spec = {} if path is None else yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(spec, dict):
        raise ValueError(f"{path} must hold options as 'key: value'")
    return spec


def work(options: argparse.Namespace) -> None:
    """Write the lists, a table of what they are made of and, if requested, the fixed mixtures."""
    if options.fix and options.arrays:
        raise ValueError("--fix is for one microphone; fix arrays with make_mixtures.py --rir")
    pattern = re.compile(options.exclude_licence) if options.exclude_licence else None
    spec = _mixing(options.options)
    parts = {
        part: _recordings(getattr(options, part) or [], kind, options, pattern)
        for part, kind in zip(_PARTS, ("speech", "noise", "rir", "rir"), strict=True)
        if getattr(options, part)
    }
    write_source_lists(
        options.out,
        parts["speech"],
        parts["noise"],
        sample_rate=options.sample_rate,
        snr_db=spec.pop("snr_db", {"from": -5, "to": 20}),
        repeats=spec.pop("repeats", 1),
        rooms=parts.get("rooms", ()),
        arrays=parts.get("arrays", ()),
        options=spec,
        excerpt_s=options.excerpt,
    )
    write_listing(
        options.out.with_suffix(".csv"),
        (
            {
                "part": part,
                "path": recording.path,
                "seconds": recording.seconds,
                "licence": recording.licence,
            }
            for part, recordings in parts.items()
            for recording in recordings
        ),
    )
    lists = read_source_lists(options.out, sample_rate=options.sample_rate)
    print(f"{options.out}: {len(lists.speech)} mixtures in an epoch")
    if options.fix:
        seconds, array = options.fix_seconds, options.out.with_suffix(".npy")
        dataset = OnTheFlyDataset(lists, segment_s=seconds, seed=options.seed)
        info = write_fixed_set(dataset, array, n_items=options.fix, seconds=seconds)
        print(f"{array}: {len(info.ids)} mixtures")
        if options.fix_folder:
            write_pairs(open_dataset(array, sample_rate=lists.sample_rate), options.fix_folder)


if __name__ == "__main__":
    sys.exit(run_command(parser(), work))
