"""A training loop of one's own, in plain PyTorch: FaSNet-TAC with a frequency-weighted SI-SDR loss.

    python examples/training_loop.py data/mini_mixtures/train.json --steps 100

The recipes in ``egs`` do this with checkpoints, resume, validation and logs; this shows which parts
they are made of. The manifest is one that ``scripts/data/make_mixtures.py`` writes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import torch

from asteroid.losses import NegSISDRLoss
from asteroid.models import FasNetTAC
from seloss.data import open_dataset
from seloss.data.load.loader import build_loader


def train(manifest: str, steps: int, *, sample_rate: int = 16000) -> Iterator[float]:
    """Train a small network; yield the loss of each step in dB."""
    torch.manual_seed(0)
    network = FasNetTAC(
        n_src=1, enc_dim=16, feature_dim=16, hidden_dim=16, n_layers=1, window_ms=16
    )
    # loss = scale x weighting: 18 third octaves, weighted by the level of speech in each
    loss = NegSISDRLoss(scale="critical", n_bins=18, weights_type="speech_norm")
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)

    dataset = open_dataset(manifest, sample_rate=sample_rate, segment_s=2.0)
    loader = build_loader(dataset, 4, shuffle=True)
    done = 0
    while done < steps:
        for batch in loader:
            estimate = network(batch.mixture, batch.n_mics)  # (batch, 1, samples): speech
            # the weights need the noise too: targets are speech and noise at microphone 0
            value = loss(estimate, batch.sources, batch.lengths)
            optimizer.zero_grad()
            value.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            yield value.item()
            done += 1
            if done == steps:
                return


def main() -> None:
    """Print the loss of every step."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("manifest", help="JSON manifest of training mixtures")
    parser.add_argument("--steps", type=int, default=100, help="how many (default: %(default)s)")
    options = parser.parse_args()
    for step, value in enumerate(train(options.manifest, options.steps), start=1):
        print(f"step {step}: loss {value:.2f} dB")


if __name__ == "__main__":
    main()
