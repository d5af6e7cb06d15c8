"""Cost of utt_eval against the metrics' own time, on the same utterances.

The libraries (pesq, pystoi, and fast_bss_eval for the ratios that it has) are called one after the
other in this process, on estimate and mixture, which is what the published metrics need of them; so
are our functions of the frequency-weighted ratios, which no library has. Every fifth utterance is
measured so, half of them before utt_eval scores all, half after. The anchor is their sum for all
utterances, over the number of processes; the goal for the whole run, its start (importing torch and
scipy, in every process) and its tables included, is 1.10 times that at 500 utterances.

    python -m benchmarks.evaluation --utterances 500 --jobs 2
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import fast_bss_eval
import numpy as np
import soundfile
import torch
from pesq import pesq
from pystoi import stoi

from auditus import get_metric
from evaluation.work.cli import available_cpus
from tests.data import SAMPLE_RATE, make_mixture

from .command import run_benchmark
from .row import Goal, Row

METRICS = ("si_sir", "si_sar", "si_sdr", "pesq_wb", "stoi", "fw_sir", "fw_sar", "fw_sdr")
OWN_METRICS = ("fw_sir", "fw_sar", "fw_sdr")
WITHOUT_MIXTURE = ("si_sar", "fw_sar")
SIGNALS = ("mixture", "speech", "noise", "estimate")
#: Of so many utterances one is measured alone.
EVERY = 5
#: Different ones; the others are copies, which no metric knows.
UNIQUE = 50
GOAL = 1.10
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
Signals = dict[str, np.ndarray]


def write_utterances(folder: Path, count: int, seconds: float) -> None:
    """Write an experiment's test set of made-up speech in noise."""
    for index in range(count):
        place = folder / f"sample_{index}"
        if index >= UNIQUE:
            shutil.copytree(folder / f"sample_{index % UNIQUE}", place)
            continue
        mixture, speech, noise = (
            part[0] for part in make_mixture(seconds, n_mics=1, seed=index, snr_db=index % 10)
        )
        draw = np.random.default_rng(index)
        estimate = speech + 0.3 * noise + 0.002 * draw.standard_normal(len(speech))
        place.mkdir(parents=True)
        for name, signal in zip(SIGNALS, (mixture, speech, noise, estimate), strict=True):
            soundfile.write(place / f"{name}.wav", signal, SAMPLE_RATE, subtype="FLOAT")


def read(folder: Path, indices: range) -> list[Signals]:
    """Return utterances' signals in double precision."""
    return [
        {name: soundfile.read(folder / f"sample_{index}" / f"{name}.wav")[0] for name in SIGNALS}
        for index in indices
    ]


def by_pesq(signals: Signals, scored: str) -> None:
    """Score by pesq."""
    pesq(SAMPLE_RATE, signals["speech"], signals[scored], "wb")


def by_pystoi(signals: Signals, scored: str) -> None:
    """Score by pystoi."""
    stoi(signals["speech"], signals[scored], SAMPLE_RATE)


def by_fast_bss_eval(signals: Signals, scored: str) -> None:
    """Score SI-SDR, SI-SIR and SI-SAR by fast_bss_eval."""
    references = torch.from_numpy(np.stack([signals["speech"], signals["noise"]]))
    estimates = torch.from_numpy(np.stack([signals[scored], signals["noise"]]))
    fast_bss_eval.si_bss_eval_sources(references, estimates, compute_permutation=False)


def by_our_own(signals: Signals, scored: str) -> None:
    """Score the metrics that no library has, one function after the other."""
    names = (scored, "speech", "noise")
    tensors = [torch.from_numpy(signals[name].copy())[None] for name in names]
    for name in OWN_METRICS:
        if scored == "estimate" or name not in WITHOUT_MIXTURE:
            get_metric(name)(*tensors, sample_rate=SAMPLE_RATE)


LIBRARIES: dict[str, Callable[[Signals, str], None]] = {
    "pesq": by_pesq,
    "pystoi": by_pystoi,
    "fast_bss_eval": by_fast_bss_eval,
    "our FW ratios": by_our_own,
}


def alone(utterances: list[Signals]) -> dict[str, float]:
    """Return the seconds an utterance's estimate and mixture take in each library, in turns."""
    spent = dict.fromkeys(LIBRARIES, 0.0)
    for work in LIBRARIES.values():
        work(utterances[0], "estimate")  # their first call is slower
    for signals in utterances:
        for name, work in LIBRARIES.items():
            began = time.perf_counter()
            for scored in ("estimate", "mixture"):
                work(signals, scored)
            spent[name] += time.perf_counter() - began
    return {name: seconds / len(utterances) for name, seconds in spent.items()}


def run_program(root: Path, tag: str, jobs: int) -> tuple[float, float]:
    """Return wall time and most memory (of its largest process, bytes) of the program."""
    command = [sys.executable, "-m", "evaluation.utt_eval", "--experiment_tag", tag]
    command += ["--root", str(root), "--jobs", str(jobs), "--metrics", *METRICS]
    # Into a file: a pipe would be open until the last of its helping processes is gone, too.
    with tempfile.TemporaryFile("w+") as output:
        began = time.perf_counter()
        done = subprocess.run(
            command, stdout=output, stderr=output, text=True, env={**os.environ, **ONE_THREAD}
        )
        wall = time.perf_counter() - began
        output.seek(0)
        if done.returncode:
            text = output.read()[-2000:]
            raise RuntimeError(f"utt_eval ended with status {done.returncode}: {text}")
    return wall, 1024.0 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss


def rows(options: argparse.Namespace) -> Iterator[Row]:
    """Yield the row of the whole run."""
    count, seconds, jobs = options.utterances, options.seconds, options.jobs
    if options.quick:
        count, seconds = 4, 1.0
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        write_utterances(root / "all" / "test", count, seconds)
        write_utterances(root / "few" / "test", jobs, seconds)
        os.sync()  # or half a gigabyte is on its way to the disk while all this is timed
        half = -(-count // EVERY // 2) or 1
        before = alone(read(root / "all" / "test", range(0, half * EVERY, EVERY)[:count]))
        few, _ = run_program(root, "few", jobs)
        wall, memory = run_program(root, "all", jobs)
        later = range(EVERY // 2, half * EVERY, EVERY)
        after = alone(read(root / "all" / "test", later if later[-1] < count else range(1)))
    each = {key: (before[key] + after[key]) / 2 for key in LIBRARIES}
    floor = sum(each.values()) * count / jobs
    parts = ", ".join(f"{key} {1000 * value:.0f} ms" for key, value in each.items())
    yield Row(
        f"{count} utterances of {seconds:g} s, published metrics, {jobs} processes",
        wall,
        wall,
        memory,
        anchor=f"the metrics alone / {jobs}",
        anchor_seconds=floor,
        faster=floor / wall,
        goals=(Goal("times the metrics' time", wall / floor, GOAL, at_most=True),),
        note=f"an utterance: {parts}; a run on {jobs} utterances, start and tables, takes "
        f"{few:.1f} s, and without them the ratio is "
        f"{(wall - few) * count / (count - jobs) / floor:.2f}; memory is that of one process",
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the size of the test set and the number of processes."""
    cores = available_cpus()
    parser.add_argument("--utterances", type=int, default=500, help="to score (500)")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each (4)")
    parser.add_argument("--jobs", type=int, default=cores, help=f"processes ({cores})")


if __name__ == "__main__":
    sys.exit(run_benchmark(rows, __doc__, add_arguments=add_arguments))
