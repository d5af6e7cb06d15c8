"""Folder of what comes with the project beside its packages."""

from __future__ import annotations

from pathlib import Path

__all__ = ["ROOT"]

_INSTALLED = Path(__file__).resolve().parent / "files"  # scripts/package_files.py puts it there
ROOT = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).resolve().parents[2]
"""Holds ``configs``, ``egs``, ``scripts``: the checkout, or a folder inside the wheel."""
