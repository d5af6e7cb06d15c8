"""One sample's signals for the judgement of phones, and what its figures depend on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import soundfile
import torch
from torch import Tensor

import asteroid.dsp
import auditus
from auditus.metric import Metric

__all__ = ["JUDGED", "Signals", "stamp_of"]

#: What is judged: the network's estimate, and the mixture as if it were one.
JUDGED = {"out": "estimate", "in": "mixture"}
_LIBRARIES = ("pesq", "pystoi", "fast-bss-eval")


class Signals:
    """Reads a sample's files when they are asked for, once.

    Args:
        paths: signal -> file.
    """

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self._paths = paths
        self._read: dict[str, tuple[Tensor, int]] = {}

    def of(self, metric: Metric, side: str) -> tuple[list[Tensor | None], int]:
        """Return estimate, target, noise `(samples,)` as far as a metric needs them, and the rate.

        Raises:
            ValueError: a file is missing or unreadable, lengths or rates differ.
        """
        roles = (JUDGED[side], "speech", "noise" if metric.needs_noise else None)
        found = [None if name is None else self[name] for name in roles]
        given = [one for one in found if one is not None]
        names = ", ".join(name for name in roles if name is not None)
        for what, values in (
            ("lengths", {len(signal) for signal, _ in given}),
            ("sample rates", {rate for _, rate in given}),
        ):
            if len(values) > 1:
                raise ValueError(f"{what} of {names} differ: {sorted(values)}")
        return [None if one is None else one[0] for one in found], given[0][1]

    def __getitem__(self, name: str) -> tuple[Tensor, int]:
        """Return a mono file `(samples,)`, float32, and its rate.

        Raises:
            ValueError: it is missing, unreadable or not mono.
        """
        if name not in self._read:
            self._read[name] = _load(name, self._paths.get(name))
        return self._read[name]


def _load(name: str, path: Path | None) -> tuple[Tensor, int]:
    if path is None or not path.is_file():
        raise ValueError(f"there is no {name}")
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (RuntimeError, OSError) as error:
        raise ValueError(f"{name} cannot be read: {error}") from None
    if samples.shape[1] != 1:
        raise ValueError(f"{name} has {samples.shape[1]} channels; expected 1")
    return torch.from_numpy(samples[:, 0].copy()), int(rate)


def stamp_of(paths: Iterable[Path], *settings: str) -> str:
    """Return what figures depend on: settings, code, libraries, the files as they are now."""
    parts = [*settings, _code()]
    for path in sorted(paths):
        if path.is_file():
            status = path.stat()
            parts.append(f"{path.name} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("; ".join(parts).encode()).hexdigest()[:32]


@cache
def _code() -> str:
    """Return a fingerprint of the code and the libraries that compute the metrics."""
    digest = hashlib.sha256()
    for package in (auditus, asteroid.dsp):
        for path in sorted(Path(package.__path__[0]).rglob("*.*")):
            if path.suffix in (".py", ".csv"):
                digest.update(path.read_bytes())
    for library in _LIBRARIES:
        digest.update(f"{library} {_version(library)}".encode())
    return digest.hexdigest()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
