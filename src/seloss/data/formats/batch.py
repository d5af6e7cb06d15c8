"""Items of different lengths and microphone counts, padded into one batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

__all__ = ["Batch", "Item", "ItemFacts", "Key", "SizedDataset", "collate"]

#: Epoch and index of an item.
Key = tuple[int, int]


class Item(NamedTuple):
    """One mixture: ``mixture`` (mics, samples), ``sources`` (2, samples), ``id``."""

    mixture: Tensor
    sources: Tensor
    id: str


class ItemFacts(NamedTuple):
    """What is known about an item beside its signals; None where something is not known.

    ``textgrid`` is the path of a file with phone labels, ``phones`` a JSON list of
    ``[start, end, label]`` in seconds, ``speech_file`` the recording that the speech is from.
    """

    id: str
    speaker: str | None = None
    noise_type: str | None = None
    snr_db: float | None = None
    seen: bool | None = None
    transcript: str | None = None
    n_mics: int = 1
    textgrid: str | None = None
    phones: str | None = None
    speech_file: str | None = None


class Batch(NamedTuple):
    """Several mixtures, zero-padded to the most microphones and the most samples among them.

    Attributes:
        mixture: (batch, mics, samples), float32; microphone 0 is the reference.
        sources: (batch, 2, samples), float32: speech and noise at the reference microphone.
        n_mics: (batch,), long: how many microphones of each mixture are real.
        lengths: (batch,), long: how many samples of each mixture are real.
        ids: Which mixtures these are.
    """

    mixture: Tensor
    sources: Tensor
    n_mics: Tensor
    lengths: Tensor
    ids: tuple[str, ...]


def collate(items: Sequence[Item]) -> Batch:
    """Pad items with zeros on microphones and samples and put them into one batch."""
    n_mics = torch.tensor([item.mixture.shape[0] for item in items])
    lengths = torch.tensor([item.mixture.shape[-1] for item in items])
    most, longest = int(n_mics.max()), int(lengths.max())
    mixture = items[0].mixture.new_zeros(len(items), most, longest)
    sources = items[0].sources.new_zeros(len(items), items[0].sources.shape[0], longest)
    for row, item in enumerate(items):
        mics, samples = item.mixture.shape
        mixture[row, :mics, :samples] = item.mixture
        sources[row, :, :samples] = item.sources
    return Batch(mixture, sources, n_mics, lengths, tuple(item.id for item in items))


class SizedDataset(Protocol):
    """What every data set of ours is: items by ``(epoch, index)``, and what is known about each."""

    sample_rate: int

    @property
    def items(self) -> list[ItemFacts]:
        """What is known about each item."""

    @property
    def lengths(self) -> list[int]:
        """Samples of each item as it is given out, near enough to put similar ones together."""

    def __len__(self) -> int:
        """Return the number of items."""

    def __getitem__(self, key: int | Key) -> Item:
        """Return item ``(epoch, index)``; an index alone means epoch 0."""
