"""Speed of causal networks on a stream, on one core: real-time factor and time per frame.

    python benchmarks/streaming.py [--seconds 2] [--networks cnunet cnunet_sb nunet small]

A real-time factor below 1 is faster than the signal arrives. Larger pieces cost less per frame and
add latency. The published CNUNet-TB takes 1.67 s of processor time for 1 s of signal, whole
utterance, one thread; the same measure of ours stands beside it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch

from asteroid.models import CNUNet, NUNetTLS
from asteroid.models.framed import FramedModel

NETWORKS: dict[str, Callable[[], FramedModel]] = {
    "cnunet": CNUNet,
    "cnunet_sb": lambda: CNUNet(branch="mask"),
    "nunet": NUNetTLS,
    "small": lambda: CNUNet(channels=8, inner_channels=4, depths=(3, 3, 2, 2)),
}
PUBLISHED = {"cnunet": 1.67, "nunet": 1.36}  # s of processor time per s, measured on the originals
PIECES = (1, 4, 16)


def stream_time(network: FramedModel, signal: torch.Tensor, hops: int) -> tuple[float, float]:
    """Return processor seconds per second of signal, and the longest step's, in seconds."""
    stream = network.stream()
    pieces = signal.split(hops * network.hop_length, dim=1)
    pieces = tuple(p for p in pieces if p.shape[1] == hops * network.hop_length)
    stream.step(pieces[0])
    steps = []
    for piece in pieces:
        start = time.process_time()
        stream.step(piece)
        steps.append(time.process_time() - start)
    duration = len(pieces) * hops * network.hop_length / network.sample_rate
    return sum(steps) / duration, max(steps)


def whole_time(network: FramedModel, signal: torch.Tensor) -> float:
    """Return processor seconds per second of signal for the whole utterance."""
    with torch.no_grad():
        network(signal)
        start = time.process_time()
        network(signal)
    return (time.process_time() - start) * network.sample_rate / signal.shape[1]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="of signal (2)")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    signal = 0.1 * torch.randn(1, round(16000 * options.seconds))
    print("network       piece  latency  per frame  slowest step  real-time factor")
    for name in options.networks:
        network = NETWORKS[name]().eval()
        hop_s = network.hop_length / network.sample_rate
        for hops in PIECES:
            factor, slowest = stream_time(network, signal, hops)
            latency = network.stft.delay / network.sample_rate + hops * hop_s
            print(
                f"{name:12s} {hops * hop_s * 1e3:4.0f} ms  {latency * 1e3:4.0f} ms  "
                f"{factor * hop_s * 1e3:6.1f} ms  {slowest * 1e3:9.1f} ms  {factor:16.2f}"
            )
        theirs = f", published {PUBLISHED[name]:.2f} s" if name in PUBLISHED else ""
        print(f"{name:12s} whole utterance: {whole_time(network, signal):.2f} s per s{theirs}")


if __name__ == "__main__":
    main()
