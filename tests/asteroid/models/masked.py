"""What the tests of DCUnet and DCCRN share: signals, short training, causality."""

from __future__ import annotations

import torch

from tests.data import speech_like


def noise(*shape, seed=1, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) * 0.1


def count(network):
    return sum(p.numel() for p in network.parameters())


def train(network, steps=20, lr=3e-3):
    """Losses of some steps towards speech from noisy speech."""
    speech = torch.stack(
        [torch.from_numpy(speech_like(0.4, seed=seed)).float() for seed in range(3)]
    )[:, None]
    mixture = speech + 0.3 * noise(*speech.shape)
    optimizer = torch.optim.Adam(network.parameters(), lr)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        estimate = network(mixture)[:, :1]
        loss = (estimate - speech).square().sum() / speech.square().sum()
        loss.backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())
        optimizer.step()
        losses.append(loss.item())
    return losses


def settle(network, n_samples=4000):
    """Let batch norms have seen something, then evaluate."""
    with torch.no_grad():
        for seed in range(3):
            network.train()(noise(2, n_samples, seed=seed).to(next(network.parameters()).dtype))
    return network.eval()
