"""Time and memory of DCUnet and DCCRN: ours against Asteroid 0.7.0's, in one process.

    python -m benchmarks.models --networks DCCRN DCUnet-10 --threads 1 --clock cpu

Both networks have the same weights and get the same input; their training steps (forward, loss,
backward, optimiser) take turns, and so do their inferences, so that other load on the machine meets
both alike. Printed too: how far the outputs of both lie apart, relative to the largest, and the
time that the multiplications of four real convolutions for each complex one, which Asteroid does,
take at the rate of the machine's matrix products.

What was tried, on one core with AVX-512, processor time of a training step:

* one real convolution of the block weight instead of four, one batch norm instead of two, real and
  imaginary rows in one LSTM call, no views and copies between complex and real: 1.5 times faster;
* channels last in memory: 3 to 5 %, most of it in the outermost layers, whose convolutions of two
  channels are several times faster so;
* three products instead of four (Gauss) in layers of 32 complex channels and more: 13 % (DCCRN) to
  21 % (DCUnet-20) of the step. As groups of one convolution instead of three calls: slower. The
  concatenation with the encoder's map is part of it and takes no copy of its own;
* batch norm and activation in one step that keeps its input alone: the norm with its PReLU takes
  half to three quarters of the time, that with a leaky ReLU as long, and memory falls by a fifth in
  DCUnet-10;
* Winograd's minimal filtering over pairs of frames in DCCRN, nine convolutions of half the frames
  instead of the three: forward 1.3 times, backward 1.1 times faster, before the sums that it needs:
  not used.

What is left is mostly convolution (three quarters of DCCRN's step), at the rate of matrix products:
four products at that rate would take longer than all of our step. Twice as fast as Asteroid would
need fewer multiplications still.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import warnings
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from asteroid.models import DCCRN, DCCRNet, DCUNet, DCUnet
from benchmarks.fasnet import CLOCKS, peak_memory, time_step

UNETS = ("DCUnet-10", "DCUnet-16", "DCUnet-20", "Large-DCUnet-20")


class Case(NamedTuple):
    """Asteroid's network and ours with the same weights, and the size of a batch."""

    theirs: nn.Module
    ours: nn.Module
    batch: int
    seconds: float


def build(name: str) -> Case:
    """Build both networks of a case."""
    torch.manual_seed(0)
    theirs: nn.Module
    ours: DCCRN | DCUnet
    if name == "DCCRN":
        theirs, ours = DCCRNet("DCCRN-CL"), DCCRN(variant="asteroid")
        size = (2, 3.0)
    else:
        theirs = DCUNet(name.replace("Unet", "UNet"), fix_length_mode="pad")
        ours = DCUnet(name, edges="asteroid")
        size = (1, 2.0)
    ours.load_asteroid(theirs.state_dict())
    return Case(theirs, ours, *size)


def training_step(network: nn.Module, mixture: Tensor) -> Callable[[], Tensor]:
    """Return a function that trains by one step and gives the output before it."""
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-9)  # so that weights stay the same

    def step() -> Tensor:
        optimizer.zero_grad()
        output: Tensor = network(mixture)
        output.square().mean().backward()
        optimizer.step()
        return output.detach()

    return step


def inference(network: nn.Module, mixture: Tensor) -> Callable[[], Tensor]:
    """Return a function that gives the output of the network in evaluation."""

    @torch.inference_mode()
    def step() -> Tensor:
        output: Tensor = network(mixture)
        return output

    return step


def compare(
    ours: Callable[[], Tensor],
    theirs: Callable[[], Tensor],
    device: torch.device,
    repetitions: int,
    clock: Callable[[], float],
) -> tuple[str, float]:
    """Measure both; return the cells of the table and our best time."""
    steps = (ours, theirs)
    mine, other = (step() for step in steps)
    differs = ((mine - other).abs().max() / other.abs().max()).item()
    del mine, other
    memory = [peak_memory(step, device) for step in steps]
    rounds = [[time_step(step, device, clock) for step in steps] for _ in range(repetitions)]
    seconds = list(zip(*rounds, strict=True))
    ratio = statistics.median(other / mine for mine, other in rounds)
    cells = [
        f"{statistics.median(each):7.3f} {min(each):7.3f} {gigabytes:6.2f}"
        for each, gigabytes in zip(seconds, memory, strict=True)
    ]
    best = min(seconds[1]) / min(seconds[0])
    return f"{cells[0]}  {cells[1]}  {ratio:5.2f} {best:5.2f}  {differs:.0e}", min(seconds[0])


def count_products(network: nn.Module, mixture: Tensor) -> float:
    """Real multiplications and additions of a network's complex convolutions, in 1e9 pairs."""
    pairs = 0

    def count(layer: nn.Module, maps: tuple[Tensor, ...], y: Tensor) -> None:
        part = layer.re_module
        assert isinstance(part, nn.Conv2d | nn.ConvTranspose2d)
        weight, transposed = part.weight, isinstance(part, nn.ConvTranspose2d)
        pixels = (maps[0] if transposed else y)[:, 0].numel()
        nonlocal pairs
        pairs += 4 * pixels * weight.numel()

    hooks = [
        layer.register_forward_hook(count)
        for layer in network.modules()
        if isinstance(getattr(layer, "re_module", None), nn.Conv2d | nn.ConvTranspose2d)
    ]
    network.eval()  # batch norms must not learn from it: Asteroid's do not see it
    inference(network, mixture)()
    for hook in hooks:
        hook.remove()
    return pairs / 1e9


def matrix_rate(device: torch.device, clock: Callable[[], float]) -> float:
    """Pairs of multiplication and addition per second of a large matrix product, in 1e9."""
    a, b = (torch.randn(2048, 2048, device=device) for _ in range(2))
    best = min(time_step(lambda: a @ b, device, clock) for _ in range(5))
    return float(2048**3 / best / 1e9)


def main(arguments: list[str] | None = None) -> int:
    """Print the table; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    names = ["DCCRN", *UNETS]
    parser.add_argument(
        "--networks",
        nargs="+",
        choices=names,
        default=names[:4],
        help="which, default: %(default)s",
    )
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
    device, clock = torch.device(options.device), CLOCKS[options.clock]
    rate = matrix_rate(device, clock)
    print(
        f"{options.repetitions} repetitions, {device.type}, {torch.get_num_threads()} threads, "
        f"{options.clock} time, torch {torch.__version__}, matrix products {rate:.0f} GMAC/s"
    )
    columns = f"{'median':>7} {'min':>7} {'GB':>6}"
    print(f"{'':27}  {'ours, seconds':22}  {'Asteroid 0.7.0':22}  {'times':11}  outputs")
    print(f"{'':27}  {columns}  {columns}  {'med.':>5} {'best':>5}  differ by")
    for name in options.networks:
        _measure(name, device, options.repetitions, clock, rate)
    return 0


def _measure(
    name: str, device: torch.device, repetitions: int, clock: Callable[[], float], rate: float
) -> None:
    case = build(name)
    generator = torch.Generator().manual_seed(0)
    mixture = 0.1 * torch.randn(case.batch, int(case.seconds * 16000), generator=generator)
    mixture = mixture.to(device)
    networks = [case.ours.to(device), case.theirs.to(device)]
    products = count_products(case.ours, mixture)
    for label, make, passes in (("training", training_step, 3), ("inference", inference, 1)):
        for network in networks:
            network.train(label == "training")
        ours, theirs = (make(network, mixture) for network in networks)
        line, best = compare(ours, theirs, device, repetitions, clock)
        needed = passes * products / rate
        audio = case.batch * case.seconds
        print(
            f"{name:15} {label:10}   {line}   "
            f"(convolutions by four products: {needed:.2f} s = {needed / best:.0%} of ours"
            f"{f'; real-time factor {best / audio:.3f}' if label == 'inference' else ''})",
            flush=True,
        )


if __name__ == "__main__":
    warnings.filterwarnings("ignore", category=FutureWarning)
    sys.exit(main())
