"""Time and memory of a FaSNet-TAC training step: ours against Asteroid 0.7.0's, in one process.

Both networks have the same weights and get the same input; their forward and backward passes take
turns, so that other load on the machine meets both alike. Each line is one batch: all microphones
present, or fewer in a batch padded to six, which is what Asteroid's TAC recipe feeds.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import importlib.util
import os
import statistics
import sys
import threading
import time
import warnings
import zipfile
from collections.abc import Callable
from importlib.abc import InspectLoader
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import torch
from torch import Tensor, nn

from asteroid.models import FasNetTAC

WHEEL = "external_repo/asteroid/.cache/asteroid-0.7.0-py3-none-any.whl"
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
CASES = {"4 microphones": (4, 4), "4 of 6": (4, 6), "2 of 6": (2, 6)}


def upstream_fasnet() -> type[nn.Module]:
    """Return the unmodified network of the pinned release, read from its wheel.

    Raises:
        FileNotFoundError: The wheel is neither where the assembly keeps it nor where
            ``SELOSS_ASTEROID_WHEEL`` says.
    """
    kept = Path(__file__).resolve().parent.parent / WHEEL
    wheel = Path(os.environ.get("SELOSS_ASTEROID_WHEEL", kept))
    if not wheel.is_file():
        raise FileNotFoundError(f"{wheel}: install external_repo/asteroid again to fetch it")
    name = "asteroid.models._upstream_fasnet"
    spec = importlib.util.spec_from_loader(name, _WheelLoader(wheel))
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    assert spec.loader is not None
    spec.loader.exec_module(module)
    network: type[nn.Module] = module.FasNetTAC
    return network


class _WheelLoader(InspectLoader):
    """Loads ``fasnet.py`` from a wheel as a sibling of the installed models."""

    def __init__(self, wheel: Path) -> None:
        self.wheel = wheel

    def is_package(self, fullname: str) -> bool:
        return False

    def get_source(self, fullname: str) -> str:
        with zipfile.ZipFile(self.wheel) as archive:
            return archive.read("asteroid/models/fasnet.py").decode("utf-8")


def peak_memory(step: Callable[[], object], device: torch.device) -> float:
    """Memory in GB that a step needs above what is in use before it."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        return (torch.cuda.max_memory_allocated() - before) / 1e9
    _return_free_memory()
    process, done = psutil.Process(), threading.Event()
    before = process.memory_info().rss
    seen = [before]

    def watch() -> None:
        while not done.wait(0.002):
            seen.append(process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    step()
    done.set()
    watcher.join()
    return float(max(seen) - before) / 1e9


def _return_free_memory() -> None:
    """Give freed memory back to the system, where glibc keeps it, so that growth is seen."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def time_step(
    step: Callable[[], object], device: torch.device, clock: Callable[[], float]
) -> float:
    """Seconds of one step."""
    start = clock()
    step()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return clock() - start


def compare(
    networks: list[nn.Module],
    mixture: Tensor,
    valid_mics: Tensor,
    repetitions: int,
    clock: Callable[[], float] = time.perf_counter,
) -> str:
    """Measure one case and return its line of the table."""

    def training_step(network: nn.Module) -> Tensor:
        network.zero_grad()
        output: Tensor = network(mixture, valid_mics)
        output.square().mean().backward()
        return output.detach()

    steps = [lambda n=network: training_step(n) for network in networks]
    ours, theirs = (step() for step in steps)
    differs = ((ours - theirs).abs().max() / theirs.abs().max()).item()
    memory = [peak_memory(step, mixture.device) for step in steps]
    rounds = [
        [time_step(step, mixture.device, clock) for step in steps] for _ in range(repetitions)
    ]
    ours_s, theirs_s = zip(*rounds, strict=True)
    ratio = statistics.median(theirs / ours for ours, theirs in rounds)
    cells = [
        f"{statistics.median(seconds):6.2f} {min(seconds):6.2f} {gigabytes:6.2f}"
        for seconds, gigabytes in zip((ours_s, theirs_s), memory, strict=True)
    ]
    best = min(theirs_s) / min(ours_s)
    return f"{cells[0]}  {cells[1]}  {ratio:6.2f} {best:6.2f}  {differs:.0e}"


def main(arguments: list[str] | None = None) -> int:
    """Print the table; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4.0, help="length of the mixtures")
    parser.add_argument("--batch", type=int, default=1, help="mixtures in a batch")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: PyTorch's choice")
    parser.add_argument("--repetitions", type=int, default=5, help="steps of each network")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument(
        "--clock",
        choices=list(CLOCKS),
        default="wall",
        help="cpu: processor time, for a machine that others use too (with --threads 1)",
    )
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    device, generator = torch.device(options.device), torch.Generator().manual_seed(0)
    ours = FasNetTAC(n_src=2).to(device)
    theirs = upstream_fasnet()(n_src=2).to(device)
    theirs.load_state_dict(ours.state_dict())

    print(
        f"FaSNet-TAC, default sizes, forward + backward: batch {options.batch}, "
        f"{options.seconds:g} s, {options.repetitions} repetitions, {device.type}, "
        f"{torch.get_num_threads()} threads, {options.clock} time, torch {torch.__version__}"
    )
    print(f"{'':14}  {'ours':20}  {'Asteroid 0.7.0':20}  {'times faster':13}  outputs")
    columns = f"{'median':>6} {'min':>6} {'GB':>6}"
    print(f"{'':14}  {columns}  {columns}  {'median':>6} {'min':>6}  differ by")
    for name, (present, padded) in CASES.items():
        shape = (options.batch, padded, int(options.seconds * 16000))
        mixture = torch.randn(shape, generator=generator) * 0.1
        mixture[:, present:] = 0
        valid_mics = torch.full((options.batch,), present)
        clock = CLOCKS[options.clock]
        line = compare([ours, theirs], mixture.to(device), valid_mics, options.repetitions, clock)
        print(f"{name:14}  {line}", flush=True)
    return 0


if __name__ == "__main__":
    warnings.filterwarnings("ignore", category=FutureWarning)
    sys.exit(main())
