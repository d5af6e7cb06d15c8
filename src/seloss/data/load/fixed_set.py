"""A data set written down: the same mixtures in every validation, and no mixing in it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from seloss.data.formats.array import ArrayInfo, read_info
from seloss.data.formats.array_writer import ArrayWriter, is_complete
from seloss.data.formats.audio import write_audio
from seloss.data.formats.batch import SizedDataset

__all__ = ["write_fixed_set", "write_pairs"]


def write_fixed_set(
    dataset: SizedDataset, path: Path, *, n_items: int, seconds: float
) -> ArrayInfo:
    """Write mixture and target of items of epoch 0, evenly taken, as an array beside its facts.

    Args:
        dataset: Gives items of one microphone, of at most ``seconds``.
        path: The ``.npy`` file; one that is there already is kept if it was made of the same.
        n_items: How many; at most all there are.
        seconds: Length of the array's rows; shorter items are padded with zeros.

    Raises:
        ValueError: ``n_items`` is not positive.
        DataError: Another array is there already.
    """
    if n_items < 1:
        raise ValueError(f"n_items must be at least 1; got {n_items}")
    count = min(n_items, len(dataset))
    chosen = [at * len(dataset) // count for at in range(count)]
    items = [dataset[(0, index)] for index in chosen]
    facts = [dataset.items[index] for index in chosen]
    pairs = [np.stack([item.mixture[0].numpy(), item.sources[0].numpy()]) for item in items]
    content = hashlib.sha256(b"".join(pair.tobytes() for pair in pairs)).hexdigest()
    info = ArrayInfo(
        path,
        (count, 2, round(seconds * dataset.sample_rate)),
        dataset.sample_rate,
        tuple(fact.id for fact in facts),
        {"speaker": [fact.speaker for fact in facts]},
        made_of=content,
    )
    if is_complete(info):
        return read_info(path)
    with ArrayWriter(info) as writer:
        start = writer.done  # a writer that was stopped has the first ones already
        writer.write(pairs[start:], [{"length": pair.shape[-1]} for pair in pairs[start:]])
        return writer.finish()


def write_pairs(dataset: SizedDataset, folder: Path) -> None:
    """Write every item as ``folder/noisy/ID.wav`` and ``folder/clean/ID.wav``, 32-bit floats."""
    for index in range(len(dataset)):
        item = dataset[(0, index)]
        for name, signal in (("noisy", item.mixture[0]), ("clean", item.sources[0])):
            path = folder / name / f"{item.id}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_audio(path, signal.numpy(), dataset.sample_rate, subtype="FLOAT")
