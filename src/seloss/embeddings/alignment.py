"""Alignment of embeddings with the frames of a spectrum."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from asteroid.utils.registry import check_choice

__all__ = ["ALIGNMENTS", "align"]

ALIGNMENTS = ("linear", "past", "published")


def align(
    embeddings: Tensor, embedding_times: Tensor, frame_times: Tensor, kind: str = "linear"
) -> Tensor:
    """Bring embeddings to the frames of a network, by the centre times of both.

    Args:
        embeddings: ``(..., n, size)``.
        embedding_times: Centre of each, seconds, increasing: ``(n,)``.
        frame_times: Centre of each frame of the network, seconds: ``(frames,)``.
        kind: ``linear``: between the embeddings before and behind a frame's centre; looks ahead by
            at most one embedding. ``past``: the last embedding whose centre is not behind the
            frame's; never looks ahead of what the embedder itself has seen. ``published``: the
            sequence is stretched to the number of frames, whatever the times. Before the first and
            behind the last embedding, that one is held.

    Returns:
        ``(..., frames, size)``.

    Raises:
        ValueError: ``kind`` is unknown, or times and embeddings differ in number.

    Example:
        >>> values, times = torch.tensor([[0.0], [1.0]]), torch.tensor([0.0, 0.02])
        >>> align(values, times, torch.tensor([-0.01, 0.005, 0.02, 0.05])).flatten().tolist()
        [0.0, 0.25, 1.0, 1.0]
    """
    check_choice("alignment", kind, ALIGNMENTS)
    n = embeddings.shape[-2]
    if embedding_times.shape != (n,) or n == 0:
        raise ValueError(
            f"{n} embeddings need as many times, at least one; got {tuple(embedding_times.shape)}"
        )
    if kind == "published":
        rows = embeddings.reshape(-1, *embeddings.shape[-2:]).transpose(1, 2)
        stretched = F.interpolate(rows, size=len(frame_times), mode="linear", align_corners=False)
        return stretched.transpose(1, 2).reshape(*embeddings.shape[:-2], len(frame_times), -1)
    times, requested = embedding_times.double(), frame_times.double()
    # A nanosecond: times that are equal on paper differ in their last digits.
    before = (torch.searchsorted(times, requested + 1e-9, right=True) - 1).clamp(0, n - 1)
    if kind == "past" or n == 1:
        return embeddings[..., before, :]
    before = before.clamp(max=n - 2)
    share = ((requested - times[before]) / (times[before + 1] - times[before])).clamp(0, 1)
    share = share.to(embeddings)[:, None]
    return torch.lerp(embeddings[..., before, :], embeddings[..., before + 1, :], share)
