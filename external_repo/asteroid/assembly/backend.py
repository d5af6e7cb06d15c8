"""PEP 517 build backend: setuptools, after the modified Asteroid has been assembled.

A source archive holds the assembled package: from it a wheel is built without a network.
"""

from __future__ import annotations

from typing import Any

from setuptools import build_meta

from assemble import ROOT, assemble, check_assembled

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

get_requires_for_build_editable = build_meta.get_requires_for_build_editable
get_requires_for_build_sdist = build_meta.get_requires_for_build_sdist
get_requires_for_build_wheel = build_meta.get_requires_for_build_wheel
prepare_metadata_for_build_editable = build_meta.prepare_metadata_for_build_editable
prepare_metadata_for_build_wheel = build_meta.prepare_metadata_for_build_wheel


def build_editable(*arguments: Any, **options: Any) -> str:
    """Assemble, then install in place."""
    _prepare()
    return str(build_meta.build_editable(*arguments, **options))


def build_wheel(*arguments: Any, **options: Any) -> str:
    """Assemble, then build a wheel of the whole package."""
    _prepare()
    return str(build_meta.build_wheel(*arguments, **options))


def build_sdist(*arguments: Any, **options: Any) -> str:
    """Assemble, then build a source archive of the whole package."""
    _prepare()
    return str(build_meta.build_sdist(*arguments, **options))


def _prepare() -> None:
    if (ROOT.parents[1] / "PKG-INFO").is_file():  # only in source archives
        check_assembled()
    else:
        assemble()
