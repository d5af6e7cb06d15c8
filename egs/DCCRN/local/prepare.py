#!/usr/bin/env python3
"""Make the arrays of the DCCRN recipe: 3-second segments at 16 kHz, noisy and clean.

Writes train.npy and valid.npy [N, 2, samples] and test.npy [noise class, SNR class, N, 2, samples],
each with a JSON file that describes it. From clean speech and noise (--speech and --noise, any
folders; or --dns, the DNS challenge): no speaker is in two of them, the test has noise types that
training has (seen) and has not (unseen). From mixtures (--voicebank, or --manifests TRAIN VALID
TEST, first microphone): training and validation keep them, the test adds their own speech and noise
at each ratio. Without any of these, from the mini corpus, which is fetched if it is not there.

Started again, it resumes. Arrays may be larger than the memory.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from seloss.data.corpus.corpora import dns_pairs, dns_recordings, voicebank_pairs
from seloss.data.corpus.listing import read_folder
from seloss.data.corpus.splits import SPLITS
from seloss.data.formats.array import NOISE_CLASSES
from seloss.data.formats.manifest import read_manifest
from seloss.data.mini.corpus import prepare
from seloss.data.mixing.make_arrays import adopt_array, describe_arrays, make_arrays
from seloss.data.mixing.segment_plan import plan_from_mixtures, plan_from_recordings
from seloss.data.mixing.segments import ArrayConfig, ArrayPlan
from seloss.program import run_command

CONFIGS = Path(__file__).resolve().parents[3] / "configs"


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    default = ArrayConfig()
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = options.add_argument
    add("--speech", type=Path, help="folder of clean speech, any nesting")
    add("--noise", type=Path, help="folder of noise, any nesting")
    dns = "the DNS challenge: its noisy and clean, or its datasets of clean speech and noise"
    add("--dns", type=Path, help=dns)
    add("--voicebank", type=Path, help="Voice Bank + DEMAND as published")
    add("--manifests", type=Path, nargs=3, metavar=("TRAIN", "VALID", "TEST"), help="manifests")
    add("--mini", type=Path, default=Path("data/mini"), help="mini corpus (default: %(default)s)")
    add("--describe", type=Path, metavar="ARRAY", help="describe an array made elsewhere, and end")
    add("--out", type=Path, default=Path("data/dccrn"), help="folder (default: %(default)s)")
    ratios = " ".join(f"{snr:g}" for snr in default.snr_db)
    for name, what in (("snr_db", "SNR classes of the test"), ("train_snr_db", "training SNRs")):
        add(f"--{name}", type=float, nargs="+", default=default.snr_db, help=f"{what} ({ratios})")
    add("--noise_classes", nargs="+", choices=NOISE_CLASSES, default=NOISE_CLASSES)
    for name, what in (
        ("n_train", "training items (default: every segment at every ratio)"),
        ("n_valid", "validation items (default: likewise)"),
        ("n_test", "segments in each cell of the test (default: all)"),
    ):
        add(f"--{name}", type=int, help=what)
    add("--seconds", type=float, default=default.seconds, help="a segment (default: %(default)s)")
    add("--sample_rate", type=int, default=default.sample_rate, help="Hz (default: %(default)s)")
    add("--seed", type=int, default=default.seed, help="of everything (default: %(default)s)")
    add("--jobs", type=int, help="threads (default: one per core)")
    add("--allow_shared", action="store_true", help="let splits share audio under two names")
    add("--overwrite", action="store_true", help="replace arrays made otherwise")
    add(
        "--dry-run", action="store_true", help="say what would be made and how large, write nothing"
    )
    return options


def _plans(options: argparse.Namespace, config: ArrayConfig) -> list[ArrayPlan]:
    out = options.out
    if options.manifests:
        manifests = {s: read_manifest(f) for s, f in zip(SPLITS, options.manifests, strict=True)}
        return plan_from_mixtures(out, manifests, config)
    if options.voicebank:
        return plan_from_mixtures(out, voicebank_pairs(options.voicebank), config)
    if options.dns and (options.dns / "noisy").is_dir():
        return plan_from_mixtures(out, dns_pairs(options.dns, config.seed), config)
    if options.dns:
        corpora = dns_recordings(options.dns)
        return plan_from_recordings(out, *corpora, config, allow_shared=options.allow_shared)
    speech, noise = options.speech, options.noise
    if speech is None:
        if not (options.mini / "speech").is_dir() and options.dry_run:
            raise ValueError(
                f"the mini corpus is not in {options.mini}: prepare_mini.py fetches it"
            )
        prepare(options.mini, CONFIGS / "mini_corpus.yml")
        speech, noise = options.mini / "speech", options.mini / "noise"
    corpora = read_folder(speech, "speech"), read_folder(noise, "noise")
    return plan_from_recordings(out, *corpora, config, allow_shared=options.allow_shared)


def _check(options: argparse.Namespace) -> None:
    if (options.speech is None) != (options.noise is None):
        raise ValueError("--speech and --noise belong together; got one of them")
    given = [n for n in ("speech", "dns", "voicebank", "manifests") if getattr(options, n)]
    if len(given) > 1:
        raise ValueError(f"one corpus at a time; got --{' and --'.join(given)}")
    if options.jobs is not None and options.jobs < 1:
        raise ValueError(f"--jobs must be 1 or more; got {options.jobs}")


def work(options: argparse.Namespace) -> None:
    """Make the arrays, or say what would be made."""
    _check(options)
    if options.describe:
        info = adopt_array(
            options.describe,
            sample_rate=options.sample_rate,
            noise_classes=options.noise_classes,
            snr_db=options.snr_db,
        )
        print(f"{info.path}.json: {len(info.ids)} items at {info.sample_rate} Hz")
        return
    config = ArrayConfig(
        seconds=options.seconds,
        snr_db=tuple(options.snr_db),
        train_snr_db=tuple(options.train_snr_db),
        noise_classes=tuple(options.noise_classes),
        n_train=options.n_train,
        n_valid=options.n_valid,
        n_test=options.n_test,
        sample_rate=options.sample_rate,
        seed=options.seed,
    )
    plans = _plans(options, config)
    print(describe_arrays(plans))
    if not options.dry_run:
        arrays = make_arrays(plans, config, jobs=options.jobs, overwrite=options.overwrite)
        print("\n".join(str(info.path) for info in arrays))


if __name__ == "__main__":
    sys.exit(run_command(parser(), work))
