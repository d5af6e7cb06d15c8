"""Phones of a test set's utterances, with their joined audio on request.

    python -m evaluation.ph_retrieve --experiment_tag XP1 --testset test
    python src/evaluation/ph_retrieve.py --signal_type all --testset test --phoneme all --loss XP1

writes, in <root>/<tag>/<testset>/phonemes/,

    segments.csv           a row per phone: utterance, phone, class, start, end, neighbours
    alignments.csv         a row per utterance: source of its phones, doubts
    unmapped.csv           labels that are in no phone class, and their counts
    failures.csv           utterances without phones, and the reasons
    <Sample_ID>.TextGrid   for Praat
    <signal>/<class>.wav   with --signal_type: all segments of a class, cut and joined

Alignments come from TextGrids, from phone times in the manifest, or from transcripts and the clean
speech by forced alignment, offline; see the README of evaluation/phonemes. The aligner's results
are kept, so that a stopped run resumes and other systems' runs on the same speech cost nothing.
"""

from __future__ import annotations

import argparse

from evaluation.testset.options import systems_of
from evaluation.work.cli import program

from .classes import UNMAPPED, read_classes
from .concatenated import SIGNAL_TYPES, write_cuts
from .options import FOLDER, add_phone_options, named_classes, options_of
from .segments import retrieve

__all__ = ["main"]


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--signal_type",
        choices=["all", *SIGNAL_TYPES],
        help="also write the joined segments of this signal (default: no audio)",
    )
    add_phone_options(parser)


def _work(args: argparse.Namespace) -> int:
    for testset in systems_of(args):
        options = options_of(args, testset)
        names = named_classes(args.phoneme, read_classes(options.classes))
        segments = retrieve(testset, options, jobs=args.jobs)
        print(f"{testset.system} / {testset.name}: {len(segments.table)} phones")
        for name in names:
            mine = segments.of_class(name)
            print(f"  {name:12s} {len(mine):6d}  {mine['duration_s'].sum():8.2f} s")
        unmapped = int((segments.table["class"] == UNMAPPED).sum())
        if unmapped:
            print(f"  {UNMAPPED:12s} {unmapped:6d}  in no class, see unmapped.csv")
        print(f"  in {testset.folder / FOLDER / 'segments.csv'}")
        if args.signal_type:
            signals = {name for paths in testset.signals().values() for name in paths}
            every = [name for name, signal in SIGNAL_TYPES.items() if signal in signals]
            types = every if args.signal_type == "all" else [args.signal_type]
            written = write_cuts(testset, segments, names, types)
            print(f"  {len(written)} joined signals in {testset.folder / FOLDER}")
    return 0


main = program("ph_retrieve", __doc__, _add_options, _work)
