"""Cost of utt_eval against the metric libraries' own time, on the same utterances.

The libraries (pesq, pystoi, and fast_bss_eval for the ratios that it has) are called one after the
other in this process, on estimate and mixture, which is what the published metrics need of them;
utt_eval then judges the same files with all cores. Printed are, in seconds,

* the libraries' sequential time and what it would be on all cores,
* utt_eval's wall time, and without its start (importing, in every process): the time of a run on
  two files is taken off,
* their ratio. The goal is 1.10. Metrics that no library has (FW-SDR, FW-SIR, FW-SAR) are extra work
  that the libraries' time does not hold, so the ratio is also given with their own sequential time
  added to it,
* the same in processor time, which other load on the machine disturbs less.

Example: ``python benchmarks/evaluation.py --utterances 200 --jobs 2``.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import fast_bss_eval
import numpy as np
import soundfile
import torch
from pesq import pesq
from pystoi import stoi

from auditus import get_metric

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from tests.data import SAMPLE_RATE, make_mixture  # noqa: E402

LIBRARY_METRICS = ("si_sir", "si_sar", "si_sdr", "pesq_wb", "stoi")
OWN_METRICS = ("fw_sir", "fw_sar", "fw_sdr")
WITHOUT_MIXTURE = ("si_sar", "fw_sar")


def write_utterances(folder: Path, count: int, seconds: float) -> None:
    """Write an experiment's test set of made-up speech in noise."""
    for index in range(count):
        mixture, speech, noise = (
            part[0] for part in make_mixture(seconds, n_mics=1, seed=index, snr_db=index % 10)
        )
        draw = np.random.default_rng(index)
        estimate = speech + 0.3 * noise + 0.002 * draw.standard_normal(len(speech))
        place = folder / f"sample_{index}"
        place.mkdir(parents=True)
        for name, signal in (
            ("mixture", mixture),
            ("speech", speech),
            ("noise", noise),
            ("estimate", estimate),
        ):
            soundfile.write(place / f"{name}.wav", signal, SAMPLE_RATE, subtype="FLOAT")


def read(folder: Path, count: int) -> list[dict[str, np.ndarray]]:
    """Return every utterance's signals in double precision."""
    names = ("mixture", "speech", "noise", "estimate")
    return [
        {name: soundfile.read(folder / f"sample_{index}" / f"{name}.wav")[0] for name in names}
        for index in range(count)
    ]


def timed(work: Callable[[dict[str, np.ndarray]], object], utterances: list) -> np.ndarray:
    """Return wall and processor time of calling it for every utterance, after one to warm up."""
    work(utterances[0])
    wall, processor = time.perf_counter(), time.process_time()
    for signals in utterances:
        work(signals)
    return np.array([time.perf_counter() - wall, time.process_time() - processor])


def by_pesq(signals: dict[str, np.ndarray]) -> None:
    """Score estimate and mixture by pesq."""
    for judged in ("estimate", "mixture"):
        pesq(SAMPLE_RATE, signals["speech"], signals[judged], "wb")


def by_pystoi(signals: dict[str, np.ndarray]) -> None:
    """Score estimate and mixture by pystoi."""
    for judged in ("estimate", "mixture"):
        stoi(signals["speech"], signals[judged], SAMPLE_RATE)


def by_fast_bss_eval(signals: dict[str, np.ndarray]) -> None:
    """Score SI-SDR, SI-SIR and SI-SAR of estimate and mixture by fast_bss_eval."""
    references = torch.from_numpy(np.stack([signals["speech"], signals["noise"]]))
    for judged in ("estimate", "mixture"):
        estimates = torch.from_numpy(np.stack([signals[judged], signals["noise"]]))
        fast_bss_eval.si_bss_eval_sources(references, estimates, compute_permutation=False)


def by_our_own(signals: dict[str, np.ndarray]) -> None:
    """Score the metrics that no library has, one function after the other."""
    tensors = {name: torch.from_numpy(signal.copy())[None] for name, signal in signals.items()}
    for judged in ("estimate", "mixture"):
        for name in OWN_METRICS:
            if judged == "estimate" or name not in WITHOUT_MIXTURE:
                get_metric(name)(
                    tensors[judged], tensors["speech"], tensors["noise"], sample_rate=SAMPLE_RATE
                )


def run_program(root: Path, tag: str, metrics: tuple[str, ...], jobs: int) -> np.ndarray:
    """Return wall and processor time of the program, its processes included."""
    command = [sys.executable, "-m", "evaluation.utt_eval", "--experiment_tag", tag]
    command += ["--root", str(root), "--jobs", str(jobs), "--metrics", *metrics]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **ONE_THREAD})
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return np.array([wall, processor])


ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def measure_program(root: Path, metrics: tuple[str, ...], jobs: int) -> tuple[np.ndarray, ...]:
    """Return times of the whole run and of a run on as many files as there are processes."""
    for tag in ("all", "few"):
        for path in (root / tag / "test" / "metrics").glob(".*"):
            path.unlink()
    return run_program(root, "all", metrics, jobs), run_program(root, "few", metrics, jobs)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--utterances", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each (default: 4)")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        write_utterances(root / "all" / "test", args.utterances, args.seconds)
        write_utterances(root / "few" / "test", args.jobs, args.seconds)
        utterances = read(root / "all" / "test", args.utterances)
        anchors = {
            "pesq": timed(by_pesq, utterances),
            "pystoi": timed(by_pystoi, utterances),
            "fast_bss_eval": timed(by_fast_bss_eval, utterances),
        }
        own = timed(by_our_own, utterances)
        print(f"{args.utterances} utterances of {args.seconds:g} s, {args.jobs} processes")
        print(f"{'sequential, s':34} {'wall':>8} {'processor':>10}")
        for library, (wall, processor) in {**anchors, "ours alone: FW-*": own}.items():
            print(f"  {library:32} {wall:8.2f} {processor:10.2f}")
        libraries = sum(anchors.values(), np.zeros(2))
        for title, metrics, floor in (
            ("libraries' metrics", LIBRARY_METRICS, libraries),
            ("published set", (*LIBRARY_METRICS, *OWN_METRICS), libraries),
            ("published set, FW-* in the sum", (*LIBRARY_METRICS, *OWN_METRICS), libraries + own),
        ):
            whole, start = measure_program(root, metrics, args.jobs)
            share = floor / np.array([args.jobs, 1])
            # both runs hold the start; the short one also some files
            done = (whole - start) * args.utterances / (args.utterances - args.jobs)
            print(f"utt_eval, {title}")
            print(f"  sum of the above / cores           {share[0]:8.2f} {share[1]:10.2f}")
            print(f"  whole run                          {whole[0]:8.2f} {whole[1]:10.2f}")
            print(f"  without its start                  {done[0]:8.2f} {done[1]:10.2f}")
            ratio = done / share
            print(f"  ratio (goal 1.10)                  {ratio[0]:8.2f} {ratio[1]:10.2f}")


if __name__ == "__main__":
    main()
