#!/usr/bin/env python3
"""Make the training, validation and test manifests of the Voice Bank + DEMAND scheme.

From the corpus as published (--tree: noisy_trainset_28spk_wav, clean_trainset_28spk_wav and the
test sets; 48 kHz is resampled), or from clean speech and noise (--speech and --noise: VCTK or Voice
Bank and DEMAND as they are published, or any folders with a --scheme of your own): 28 training
speakers in 8 + 2 noises at 15, 10, 5, 0 dB, 2 others in 5 other noises at 17.5, 12.5, 7.5, 2.5 dB.
Without any of these, the same scheme scaled down to the mini corpus, which is fetched if it is not
there.

Started again, it makes what is missing.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from seloss.data.corpus.corpora import VALID_SPEAKERS, voicebank_pairs
from seloss.data.corpus.listing import read_folder
from seloss.data.corpus.recording import Recording
from seloss.data.corpus.splits import SPLITS
from seloss.data.formats.preparation import Claim, claim_folder
from seloss.data.load.source_lists import write_source_lists
from seloss.data.mini.corpus import prepare
from seloss.data.mixing.make_pairs import (
    convert_pairs,
    describe_plans,
    mix_pairs,
    pair_settings,
    place_recordings,
)
from seloss.data.mixing.scheme import NoiseScheme, read_scheme
from seloss.data.mixing.scheme_plan import (
    Pools,
    artificial_recordings,
    assign,
    make_artificial,
    plan_scheme,
)
from seloss.program import run_command

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
SCHEMES = CONFIGS / "schemes"
#: Every name that is written into the output folder.
WRITES = [*SPLITS, *(f"{split}.json" for split in SPLITS), "artificial", "sources"]


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = options.add_argument
    add("--tree", type=Path, help="Voice Bank + DEMAND as published")
    add("--speech", type=Path, help="clean speech: VCTK, Voice Bank or any folder of speakers")
    add("--noise", type=Path, help="noise: DEMAND or any folder of noise types")
    add("--mini", type=Path, default=Path("data/mini"), help="mini corpus (default: %(default)s)")
    default = "voicebank_demand.yml, for the mini corpus voicebank_mini.yml"
    add("--scheme", type=Path, help=f"who and what is in which split (default: {default})")
    add("--out", type=Path, required=True, help="folder of the mixtures")
    kept = f"with --tree: kept for validation (default: {' '.join(VALID_SPEAKERS)})"
    add("--valid_speakers", nargs="+", default=list(VALID_SPEAKERS), help=kept)
    fly = "mix training while it runs: train.json lists speech and noise instead of mixtures"
    add("--on_the_fly", action="store_true", help=fly)
    add("--sample_rate", type=int, default=16000, help="Hz (default: %(default)s)")
    add("--seed", type=int, default=0, help="of everything (default: %(default)s)")
    add("--jobs", type=int, help="threads (default: one per core)")
    add("--overwrite", action="store_true", help="replace what was made otherwise")
    add(
        "--dry-run", action="store_true", help="say what would be made and how large, write nothing"
    )
    return options


def _recordings(options: argparse.Namespace) -> tuple[list[Recording], list[Recording], Path]:
    """Return speech, noise and the scheme's file."""
    speech, noise, scheme = options.speech, options.noise, SCHEMES / "voicebank_demand.yml"
    if speech is None:
        scheme = SCHEMES / "voicebank_mini.yml"
        if not (options.mini / "speech").is_dir() and options.dry_run:
            raise ValueError(
                f"the mini corpus is not in {options.mini}: prepare_mini.py fetches it"
            )
        prepare(options.mini, CONFIGS / "mini_corpus.yml")
        speech, noise = options.mini / "speech", options.mini / "noise"
    voices = [
        recording
        for recording in read_folder(speech, "speech")
        if not Path(recording.name).stem.endswith("_mic2")
    ]
    return voices, read_folder(noise, "noise"), options.scheme or scheme


def _mix(options: argparse.Namespace) -> None:
    speech, noise, scheme_file = _recordings(options)
    scheme = read_scheme(scheme_file)
    rate, seed = options.sample_rate, options.seed
    artificial = artificial_recordings(scheme, options.out, sample_rate=rate, seed=seed)
    pools = assign(scheme, speech, noise, artificial)
    plans = plan_scheme(scheme, pools, rate, seed)
    print(describe_plans(plans, rate))
    if options.dry_run:
        return
    settings = pair_settings(plans, sample_rate=rate, seed=seed, on_the_fly=options.on_the_fly)
    if options.on_the_fly:
        del plans["train"]
    with claim_folder(options.out, settings, WRITES, overwrite=options.overwrite) as claim:
        make_artificial(claim, scheme, speech, sample_rate=rate, seed=seed)
        manifests = mix_pairs(claim, plans, sample_rate=rate, seed=seed, jobs=options.jobs)
        if options.on_the_fly:
            manifests = {"train": _write_lists(claim, pools, scheme, rate), **manifests}
    print("\n".join(str(path) for path in manifests.values()))


def _write_lists(claim: Claim, pools: Pools, scheme: NoiseScheme, sample_rate: int) -> Path:
    path = claim.folder / "train.json"
    speech, noise = (
        place_recordings(claim, part, recordings, sample_rate=sample_rate)
        for part, recordings in zip(("speech", "noise"), pools["train"], strict=True)
    )
    write_source_lists(
        path,
        speech,
        noise,
        sample_rate=sample_rate,
        snr_db=scheme.train.snr_db,
        repeats=scheme.repeats.get("train", 1),
        augment=scheme.augment,
    )
    return path


def _convert(options: argparse.Namespace) -> None:
    pairs = voicebank_pairs(options.tree, options.valid_speakers)
    for split, items in pairs.items():
        speakers = {item.speaker for item in items}
        kinds = sorted({str(item.noise_type) for item in items})
        shown = ", ".join(kinds[:20])
        print(f"{split}: {len(items)} pairs of {len(speakers)} speakers in {shown}")
    if not options.dry_run:
        rate = options.sample_rate
        settings = pair_settings(pairs, sample_rate=rate)
        with claim_folder(options.out, settings, WRITES, overwrite=options.overwrite) as claim:
            manifests = convert_pairs(claim, pairs, sample_rate=rate, jobs=options.jobs)
        print("\n".join(str(path) for path in manifests.values()))


def work(options: argparse.Namespace) -> None:
    """Make the manifests, or say what would be made."""
    if (options.speech is None) != (options.noise is None):
        raise ValueError("--speech and --noise belong together; got one of them")
    if options.tree and (options.speech or options.scheme or options.on_the_fly):
        raise ValueError(
            "--tree is mixed already: --speech, --scheme and --on_the_fly do not apply"
        )
    if options.jobs is not None and options.jobs < 1:
        raise ValueError(f"--jobs must be 1 or more; got {options.jobs}")
    if options.tree:
        _convert(options)
    else:
        _mix(options)


if __name__ == "__main__":
    sys.exit(run_command(parser(), work))
