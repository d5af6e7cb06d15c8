"""Where in frequency speech is kept, noise is left and artefacts are made, by phoneme class too.

    python -m evaluation.spectra XP1 XP2 -o spectra

splits every estimate into speech, residual noise and artefacts (orthogonal projections of the whole
utterance, as SI-SDR, SI-SIR and SI-SAR do) and sums their energies in one-third-octave bands. Each
utterance counts alike, and at the level of its speech, whatever the gain of the system. Written are

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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from asteroid.dsp.projection import decompose
from asteroid.dsp.stft import Stft
from asteroid.utils.files import atomic_path
from evaluation.phonemes.classes import read_classes
from evaluation.plots.style import figure_style, save_figure
from evaluation.testset.experiment import open_system
from evaluation.testset.testset import TestSet
from evaluation.work.cli import add_experiment_options, available_cpus, positive_int
from evaluation.work.parallel import run_each
from seloss.program import run_command

from .plot import average_spectra, band_ratios, class_ratios

__all__ = ["PARTS", "band_table", "main", "spectra", "third_octaves"]

logger = logging.getLogger(__name__)

Array = NDArray[np.float64]

PARTS = ("speech", "noise", "artefact")
ALL, MIXTURE = "all", "mixture"
WINDOW_S = 0.064
LOWEST_HZ = 100.0
# Energies below this share of the speech's are rounding: a mixture has no artefact.
NOTHING = 1e-12


@dataclass(frozen=True)
class SpectrumTask:
    """One utterance of one system.

    Attributes:
        paths: of estimate, speech and noise.
        segments: start and end in seconds and class of each phone; may be empty.
    """

    paths: tuple[Path, Path, Path]
    segments: tuple[tuple[float, float, str], ...]


def third_octaves(sample_rate: float) -> tuple[Array, Array]:
    """Return centres `(bands,)` and edges `(bands + 1,)` in Hz, from 100 Hz to half the rate.

    Centres are 1000 Hz times powers of 2^(1/3); the last band ends at or below half the rate.
    """
    order = np.arange(-12, 20)
    centres = 1000.0 * 2.0 ** (order / 3)
    fits = (centres > LOWEST_HZ * 0.9) & (centres * 2 ** (1 / 6) <= sample_rate / 2)
    centres = centres[fits]
    return centres, np.append(centres * 2 ** (-1 / 6), centres[-1] * 2 ** (1 / 6))


def utterance_energies(task: SpectrumTask) -> tuple[dict[str, Array], int]:
    """Return the energies of each class `(parts, bands)`, and the sampling rate.

    The energies are relative to that of the speech part over the whole utterance.

    Raises:
        ValueError: rates differ, or nothing of the speech is in the estimate.
    """
    read = [soundfile.read(path, dtype="float64", always_2d=True) for path in task.paths]
    rates = {rate for _, rate in read}
    if len(rates) > 1:
        raise ValueError(f"sampling rates differ: {', '.join(f'{rate} Hz' for rate in rates)}")
    rate = rates.pop()
    shortest = min(len(signal) for signal, _ in read)
    estimate, speech, noise = (
        torch.from_numpy(signal[:shortest, 0].copy())[None] for signal, _ in read
    )
    parts = torch.cat(decompose(estimate, speech, noise))
    window = round(WINDOW_S * rate)
    power = Stft(window, window // 4)(parts).abs().square().numpy()
    centres, edges = third_octaves(rate)
    band_of = np.digitize(np.arange(power.shape[1]) * rate / window, edges) - 1
    bands = np.stack([power[:, band_of == band].sum(1) for band in range(len(centres))], axis=1)
    total = bands[0].sum()
    if not total > 0:
        raise ValueError("nothing of the speech is in the estimate")
    times = np.arange(bands.shape[2]) * (window // 4) / rate
    energies = {ALL: bands.sum(2) / total}
    for start, end, name in task.segments:
        inside = (times >= start) & (times < end)
        energies[name] = energies.get(name, 0.0) + bands[:, :, inside].sum(2) / total
    return energies, rate


def spectra(
    systems: Mapping[str, TestSet], *, jobs: int = 1, progress: bool | None = None
) -> pd.DataFrame:
    """Return the table of levels and ratios, see `band_table`, of the mixture and each system.

    An utterance that cannot be used, or is at another rate than most, is left out, with a warning
    that says why.

    Raises:
        FileNotFoundError: no utterance of a system could be used.
    """
    tasks = _tasks(systems)
    found: list[tuple[SpectrumTask, dict[str, Array], int]] = []
    outcomes = run_each(utterance_energies, list(tasks), jobs=min(jobs, len(tasks)))
    hidden = None if progress is None else not progress
    for outcome in tqdm(outcomes, total=len(tasks), unit="utterance", disable=hidden):
        if outcome.result is None:
            logger.warning("%s is left out: %s", outcome.item.paths[0], outcome.error)
            continue
        found.append((outcome.item, *outcome.result))
    usual = max(Counter(rate for _, _, rate in found).items(), key=itemgetter(1, 0), default=(0, 0))
    sums: dict[str, dict[str, Array]] = {name: {} for name in dict.fromkeys(tasks.values())}
    counts = dict.fromkeys(sums, 0)
    for task, energies, rate in found:
        if rate != usual[0]:
            logger.warning("%s is left out: it is at %d Hz", task.paths[0], rate)
            continue
        name = tasks[task]
        counts[name] += 1
        for of_class, one in energies.items():
            sums[name][of_class] = sums[name].get(of_class, 0.0) + one
    empty = [name for name, count in counts.items() if not count]
    if empty:
        raise FileNotFoundError(f"no utterance of {empty[0]} could be used: see above")
    centres, _ = third_octaves(usual[0])
    return pd.concat(
        [
            band_table(one / counts[name], centres).assign(
                system=name, **{"class": of_class}, utterances=counts[name]
            )
            for name, classes in sums.items()
            for of_class, one in _in_order(classes)
        ],
        ignore_index=True,
    )


def _in_order(classes: Mapping[str, Array]) -> list[tuple[str, Array]]:
    """Return all phones first, then the classes in the order of their table."""
    ordered = read_classes().ordered(name for name in classes if name != ALL)
    return [(name, classes[name]) for name in (ALL, *ordered)]


def band_table(energies: Array, centres: Array) -> pd.DataFrame:
    """Return levels and ratios of energies `(parts, bands)`, a row per band.

    Columns: `centre_hz`; `speech_db`, `noise_db`, `artefact_db` re. the speech of all bands and
    classes; `sdr_db`, `sir_db`, `sar_db`, NaN where there is nothing to divide by.
    """
    speech, noise, artefact = np.where(energies > NOTHING, energies, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = {
            f"{part}_db": 10 * np.log10(one)
            for part, one in zip(PARTS, (speech, noise, artefact), strict=True)
        }
        columns["sdr_db"] = 10 * np.log10(speech / (noise + artefact))
        columns["sir_db"] = 10 * np.log10(speech / noise)
        columns["sar_db"] = 10 * np.log10((speech + noise) / artefact)
    finite = {name: np.where(np.isfinite(one), one, np.nan) for name, one in columns.items()}
    return pd.DataFrame({"centre_hz": centres} | finite)


def _tasks(systems: Mapping[str, TestSet]) -> dict[SpectrumTask, str]:
    """Return what is to be done and whose it is; the mixture once, from the first system."""
    tasks: dict[SpectrumTask, str] = {}
    segments = _segments(systems)
    for number, (name, testset) in enumerate(systems.items()):
        ids = dict(testset.samples()[["Sample_ID", "id"]].to_numpy())
        for sample, paths in testset.signals().items():
            phones = segments.get(ids[sample], ())
            sides = ([(MIXTURE, "mixture")] if number == 0 else []) + [(name, "estimate")]
            for owner, signal in sides:
                wanted = [paths.get(one) for one in (signal, "speech", "noise")]
                if all(path is not None and path.is_file() for path in wanted):
                    tasks[SpectrumTask(tuple(wanted), phones)] = owner  # type: ignore[arg-type]
    if not tasks:
        raise FileNotFoundError("no sample has estimate, speech and noise: nothing can be split")
    return tasks


def _segments(systems: Mapping[str, TestSet]) -> dict[str, tuple[tuple[float, float, str], ...]]:
    """Return the phones of each utterance, from the first system that has them."""
    for testset in systems.values():
        path = testset.metrics / "phoneme_segments.csv"
        if path.is_file():
            table = pd.read_csv(path, dtype={"id": str, "class": str})
            table = table.dropna(subset=["class"])
            return {
                str(name): tuple(part[["start_s", "end_s", "class"]].itertuples(False, None))
                for name, part in table.groupby("id")
            }
    return {}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="spectra", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("systems", nargs="+", metavar="SYSTEM", help="experiment tags or folders of audio")
    add("--testset", metavar="NAME", help="needed where an experiment has several")
    add("-o", "--output", type=Path, default=Path("spectra"), metavar="FOLDER", help="where to")
    add("--jobs", type=positive_int, default=available_cpus(), help="default: %(default)s")
    add_experiment_options(parser)
    return parser


def _work(args: argparse.Namespace) -> int:
    found = [open_system(name, args.testset, args.root) for name in args.systems]
    table = spectra({one.system: one for one in found}, jobs=args.jobs)
    with atomic_path(args.output / "spectra.csv") as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")
    drawings = [average_spectra(table), band_ratios(table), *class_ratios(table)]
    with figure_style():
        for drawing in drawings:
            save_figure(drawing.draw(), args.output / f"{drawing.name}.png", drawing.numbers)
    print(f"{args.output}: spectra.csv, {', '.join(f'{one.name}.png' for one in drawings)}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit status."""
    return run_command(_parser(), _work, argv)
