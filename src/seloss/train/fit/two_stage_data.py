"""Stored embeddings and latents of a recipe's data sets: filling and reading."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from asteroid.models.cnunet import CNUNet
from seloss.data.formats.batch import Item, SizedDataset
from seloss.data.formats.feature_store import FeatureStore, heard_signal
from seloss.data.load.feature_dataset import FeatureDataset, Share, fill_store
from seloss.embeddings import SpeechEmbedder, align
from seloss.embeddings.embedded import EmbeddedCNUNet

__all__ = ["EmbeddingData", "LatentData"]

HOUR = 3600
Progress = Callable[[Iterable[int]], Iterable[int]]


class _StoredData:
    """Features of a data set's utterances, stored once.

    Args:
        root: Folder of all such features; each identity and data set gets its own inside.
        identity: What the features depend on beside the audio.
        fill: Compute what is missing; otherwise it is refused.
        share: Compute only every n-th utterance from the i-th on, ``(i, n)``.
        progress: Shows how far it is.
    """

    def __init__(
        self,
        root: str | Path,
        identity: dict[str, Any],
        *,
        fill: bool = True,
        share: Share = (0, 1),
        progress: Progress = iter,
    ) -> None:
        self.root, self.identity = root, identity
        self.fill, self.share, self.progress = fill, share, progress

    def _filled(
        self,
        dataset: SizedDataset,
        origin: str | Path,
        compute: Callable[[Item], Tensor],
        **options: Any,
    ) -> FeatureStore:
        # Ids are unique within one data set only.
        parts = (json.dumps(self.identity, sort_keys=True), str(Path(origin).resolve()))
        model, data = (hashlib.sha256(part.encode()).hexdigest()[:12] for part in parts)
        folder = Path(self.root) / model / data
        store = FeatureStore(folder, self.identity, read_only=not self.fill)
        if self.fill:
            options |= {"share": self.share, "progress": self.progress}
            fill_store(store, dataset, compute, **options)
        return store


class EmbeddingData(_StoredData):
    """Embeddings of a data set's utterances.

    Args:
        embedder: Makes them.
        root: Folder of all embeddings.
        source: ``noisy``, or ``clean`` for oracle experiments.
        **options: ``fill``, ``share`` and ``progress`` as for `_StoredData`.
    """

    def __init__(
        self, embedder: SpeechEmbedder, root: str | Path, *, source: str = "noisy", **options: Any
    ) -> None:
        super().__init__(root, {**embedder.describe(), "source": source}, **options)
        self.embedder, self.source = embedder, source
        self._times = embedder.times(HOUR * embedder.sample_rate)

    def store(self, dataset: SizedDataset, origin: str | Path) -> FeatureStore:
        """Return the store of a data set of whole utterances, complete if ``fill``.

        Args:
            dataset: Whole utterances.
            origin: Path of what it was opened from, which tells it from others.

        Raises:
            ValueError: The data set's sampling rate is not the embedder's.
        """
        if dataset.sample_rate != self.embedder.sample_rate:
            raise ValueError(
                f"the embedder takes signals of {self.embedder.sample_rate} Hz, the data have "
                f"{dataset.sample_rate} Hz"
            )
        per_frame = self.embedder.n_layers * self.embedder.size * 4
        return self._filled(
            dataset,
            origin,
            lambda item: self.embedder.embed(heard_signal(item, self.source)),
            bytes_of=lambda n: per_frame * len(self.embedder.times(n)),
            source=self.source,
            what="embeddings",
        )

    def dataset(
        self,
        dataset: SizedDataset,
        origin: str | Path,
        network: EmbeddedCNUNet,
        segment_s: float | None = None,
        seed: int = 0,
    ) -> FeatureDataset:
        """Return a data set whose features are embeddings aligned with a network's frames."""

        def cut(stored: Tensor, start: int, count: int) -> Tensor:
            frames = network.network.frame_times(start + count)[start:]
            times = self._times[: stored.shape[1]]
            aligned: Tensor = align(stored, times, frames, network.alignment)
            return aligned.transpose(1, 2)

        return FeatureDataset(
            dataset,
            self.store(dataset, origin),
            cut,
            count_frames=network.n_frames,
            hop_length=network.network.hop_length,
            segment_s=segment_s,
            seed=seed,
            source=self.source,
        )


class LatentData(_StoredData):
    """Latents that a trained stage 1 gives for a data set's utterances.

    Args:
        network: Stage 1, trained.
        embeddings: Of the same embedder and source as in its training.
        root: Folder of all latents.
        **options: ``fill``, ``share`` and ``progress`` as for `_StoredData`.
    """

    def __init__(
        self, network: EmbeddedCNUNet, embeddings: EmbeddingData, root: str | Path, **options: Any
    ) -> None:
        digest = hashlib.sha256()
        for name, value in network.state_dict().items():
            digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
        identity = {
            "network": digest.hexdigest()[:16],
            "arguments": network.get_model_args(),
            "embeddings": embeddings.identity,
        }
        super().__init__(root, identity, **options)
        self.network, self.embeddings = network.eval(), embeddings

    def store(self, dataset: SizedDataset, origin: str | Path) -> FeatureStore:
        """Return the store of a data set, complete if ``fill``; see :class:`EmbeddingData`."""
        inner = self.network.network
        # Each stage halves the rows; the constant bin is left out.
        rows = inner.n_fft // 2 // 2 ** len(inner.depths)
        whole = self.embeddings.dataset(dataset, origin, self.network) if self.fill else None
        index = {facts.id: i for i, facts in enumerate(dataset.items)}

        device = next(self.network.parameters()).device

        @torch.no_grad()
        def compute(item: Item) -> Tensor:
            assert whole is not None
            layers = whole[index[item.id]].features[None].to(device)
            return self.network.analyse(item.mixture[:1].to(device), layers)[1][0]

        return self._filled(
            dataset,
            origin,
            compute,
            # Real and imaginary part of 4 bytes each.
            bytes_of=lambda n: 8 * inner.channels * rows * inner.n_frames(n),
            what="latents",
        )

    def dataset(
        self,
        dataset: SizedDataset,
        origin: str | Path,
        network: CNUNet,
        segment_s: float | None = None,
        seed: int = 0,
    ) -> FeatureDataset:
        """Return a data set whose features are the stored latents.

        Raises:
            ValueError: The network's latents have another shape than stage 1's.
        """
        ours, theirs = map(_shape, (network, self.network.network))
        if ours != theirs:
            raise ValueError(f"stage 2 must have the latents of stage 1: {theirs}; got {ours}")
        return FeatureDataset(
            dataset,
            self.store(dataset, origin),
            lambda stored, start, count: stored[..., start : start + count],
            count_frames=network.n_frames,
            hop_length=network.hop_length,
            segment_s=segment_s,
            seed=seed,
        )


def _shape(network: CNUNet) -> str:
    names = ("channels", "win_length", "hop_length", "n_fft")
    sizes = [f"{name} {getattr(network, name)}" for name in names]
    return ", ".join([*sizes, f"stages {len(network.depths)}"])
