"""Spectra of speech, residual noise and artefacts in estimates, also by phoneme class.

    python -m evaluation.spectra XP1 XP2 -o spectra
    python -m evaluation.spectra OURS=net_a/enhanced THEIRS=net_b/enhanced -o spectra

splits every estimate into speech, residual noise and artefacts (orthogonal projections of the whole
utterance, as SI-SDR, SI-SIR and SI-SAR do) and sums their energies in one-third-octave bands. All
utterances have equal weight, relative to the energy of their speech, whatever the gain of the
system. An utterance whose files are missing or differ in length or rate is left out, with a
warning; the column utterances has the number of those that count. It writes

    spectra.csv            a row per system, phoneme class and band: levels and band-wise ratios
    average_spectra.png    long-term average spectra of the three parts
    band_ratios.png        SDR, SIR and SAR over frequency
    class_ratios_*.png     the same by phoneme class, where evaluation.ph_eval was run

each picture with its numbers beside it as CSV. `mixture` is the unprocessed input.

Sources: IEC 61260-1 (bands); Vincent, Gribonval & Fevotte, IEEE TASLP 14 (2006), 1462 (parts).
"""

from __future__ import annotations

import argparse
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from asteroid.dsp.projection import decompose
from evaluation.phonemes.classes import read_classes
from evaluation.phonemes.segments import ClassedPhone, read_segments
from evaluation.plots.drawing import save_drawings
from evaluation.testset.experiment import open_systems
from evaluation.testset.options import add_experiment_options
from evaluation.testset.signals import SignalFiles
from evaluation.testset.testset import TestSet, some
from evaluation.work.cli import available_cpus, positive_int, program
from evaluation.work.parallel import run_each
from evaluation.work.tables import write_table

from .bands import ALL, Array, band_energies, class_energies, third_octaves
from .plot import MIXTURE, average_spectra, band_ratios, class_ratios

__all__ = ["PARTS", "band_table", "main", "spectra"]

logger = logging.getLogger(__name__)

PARTS = ("speech", "noise", "artefact")
# Energies below this share of the speech's are rounding: a mixture has no artefact.
ROUNDING = 1e-12


@dataclass(frozen=True)
class SpectrumTask:
    """One utterance of one system: the signal to split, its, speech's and noise's files, phones."""

    estimate: str
    paths: tuple[tuple[str, Path], ...]
    phones: tuple[ClassedPhone, ...]


def utterance_energies(task: SpectrumTask) -> tuple[dict[str, Array], int]:
    """Return the energies of each class ``(parts, bands)``, and the sampling rate.

    The energies are relative to that of the speech part over the whole utterance.

    Raises:
        ValueError: A file cannot be read, lengths or rates differ, or the estimate contains no
            speech.
    """
    names = (task.estimate, "speech", "noise")
    signals, rate = SignalFiles(dict(task.paths)).read(*names)
    estimate, speech, noise = (signals[name].double() for name in names)
    parts = torch.cat(decompose(estimate, speech, noise))
    bands, times, _ = band_energies(parts, rate)
    total = bands[0].sum()
    if not total > 0:
        raise ValueError("the estimate contains no speech")
    energies = class_energies(bands, times, task.phones)
    return {name: energy / total for name, energy in energies.items()}, rate


def spectra(systems: Mapping[str, TestSet], *, jobs: int = 1) -> pd.DataFrame:
    """Return the table of levels and ratios, see ``band_table``, of the mixture and each system.

    An utterance that cannot be used, or is at another rate than most, is left out, with a warning.

    Raises:
        FileNotFoundError: No utterance of a system could be used.
    """
    tasks = _tasks(systems)
    results: list[tuple[SpectrumTask, dict[str, Array], int]] = []
    outcomes = run_each(utterance_energies, list(tasks), jobs=min(jobs, len(tasks)))
    for outcome in tqdm(outcomes, total=len(tasks), unit="utterance", disable=None):
        if outcome.result is None:
            logger.warning("%s is left out: %s", outcome.item.paths[0][1], outcome.error)
        else:
            results.append((outcome.item, *outcome.result))
    rates = Counter(rate for _, _, rate in results).items()
    usual, _ = max(rates, key=itemgetter(1, 0), default=(0, 0))
    sums: dict[str, dict[str, Array]] = {name: {} for name in dict.fromkeys(tasks.values())}
    counts = dict.fromkeys(sums, 0)
    for task, energies, rate in results:
        if rate != usual:
            logger.warning("%s is left out: it is at %d Hz", task.paths[0][1], rate)
            continue
        name = tasks[task]
        counts[name] += 1
        for of_class, energy in energies.items():
            sums[name][of_class] = sums[name].get(of_class, 0.0) + energy
    empty = [name for name, count in counts.items() if not count]
    if empty:
        raise FileNotFoundError(f"no utterance of {empty[0]} could be used: see the warnings above")
    centres, _ = third_octaves(usual)
    return pd.concat(
        [
            band_table(classes[of_class] / counts[name], centres).assign(
                system=name, **{"class": of_class}, utterances=counts[name]
            )
            for name, classes in sums.items()
            for of_class in (ALL, *read_classes().ordered(c for c in classes if c != ALL))
        ],
        ignore_index=True,
    )


def band_table(energies: Array, centres: Array) -> pd.DataFrame:
    """Return levels and ratios of energies ``(parts, bands)``, a row per band.

    Columns: ``centre_hz``; ``speech_db``, ``noise_db``, ``artefact_db`` re. the speech of all bands
    and classes; ``sdr_db``, ``sir_db``, ``sar_db``, NaN where there is nothing to divide by.
    """
    speech, noise, artefact = np.where(energies > ROUNDING, energies, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = {
            f"{part}_db": 10 * np.log10(energy)
            for part, energy in zip(PARTS, (speech, noise, artefact), strict=True)
        }
        columns["sdr_db"] = 10 * np.log10(speech / (noise + artefact))
        columns["sir_db"] = 10 * np.log10(speech / noise)
        columns["sar_db"] = 10 * np.log10((speech + noise) / artefact)
    finite = {name: np.where(np.isfinite(db), db, np.nan) for name, db in columns.items()}
    return pd.DataFrame({"centre_hz": centres} | finite)


def _tasks(systems: Mapping[str, TestSet]) -> dict[SpectrumTask, str]:
    """Return each utterance with its system; the mixture once, from the first system."""
    tasks: dict[SpectrumTask, str] = {}
    # Phones are those of the first system that has them: all have the same speech.
    phones = next(filter(None, map(read_segments, systems.values())), {})
    for number, (name, testset) in enumerate(systems.items()):
        ids = dict(testset.samples()[["Sample_ID", "id"]].to_numpy())
        lacking = []
        for sample, paths in testset.signals().items():
            sides = ([(MIXTURE, "mixture")] if number == 0 else []) + [(name, "estimate")]
            for owner, signal in sides:
                roles = (signal, "speech", "noise")
                files = tuple((role, paths[role]) for role in roles if role in paths)
                if len(files) == len(roles) and all(path.is_file() for _, path in files):
                    tasks[SpectrumTask(signal, files, phones.get(ids[sample], ()))] = owner
                elif signal == "estimate":
                    lacking.append(ids[sample])
        if lacking:
            logger.warning(
                "%s: %d utterance(s) lack estimate, speech or noise and are left out: %s",
                *(name, len(lacking), some(lacking)),
            )
    if not tasks:
        raise FileNotFoundError("no sample has estimate, speech and noise: nothing can be split")
    return tasks


def _add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("systems", nargs="+", metavar="SYSTEM", help="TAG, a folder, or NAME=one of these")
    folder = Path("spectra")
    add("-o", "--output", type=Path, default=folder, metavar="FOLDER", help="default: %(default)s")
    jobs = "processes (default: %(default)s)"
    add("--jobs", type=positive_int, default=available_cpus(), help=jobs)
    add_experiment_options(parser, testset=True)


def _work(args: argparse.Namespace) -> int:
    systems = open_systems(args.systems, args.testset, args.root, taken=(MIXTURE,))
    table = spectra(systems, jobs=args.jobs)
    write_table(args.output / "spectra.csv", table)
    drawings = [average_spectra(table), band_ratios(table), *class_ratios(table)]
    save_drawings(drawings, args.output)
    names = ", ".join(f"{drawing.name}.png" for drawing in drawings)
    print(f"{args.output}: spectra.csv, {names}")
    return 0


main = program("spectra", __doc__, _add_options, _work)
