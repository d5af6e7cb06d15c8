"""What figures depend on: options, code, libraries, files. Figures of another stamp are void."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import asteroid.dsp
import auditus

__all__ = ["settings_stamp", "stamp_of"]

# Those that compute: with another version of one the figures are computed again.
LIBRARIES = ("pesq", "pystoi", "fast-bss-eval", "speechmos", "distillmos", "pyclarity")


def settings_stamp(variant: str, *, cut: bool) -> str:
    """Return what all figures depend on: options, code, libraries."""
    libraries = [f"{name} {_version(name)}" for name in LIBRARIES]
    options = ["cut"] if cut else []
    return "; ".join([variant, *options, _code(), *libraries])


def stamp_of(files: Mapping[str, Path], settings: str) -> str:
    """Return what a sample's figures depend on: settings, and the files as they are now."""
    parts = [settings]
    for name, path in sorted(files.items()):
        if path.is_file():
            status = path.stat()
            parts.append(f"{name} {path} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


@cache
def _code() -> str:
    """Return a fingerprint of the code that defines the metrics."""
    digest = hashlib.sha256()
    for package in (auditus, asteroid.dsp):
        for path in sorted(Path(package.__path__[0]).rglob("*.*")):
            if path.suffix in (".py", ".csv"):
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
