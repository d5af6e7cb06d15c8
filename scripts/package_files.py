"""Part of the wheel's build: configurations, recipes and programs go into the package.

setuptools runs it (``pyproject.toml``, ``tool.setuptools.cmdclass``); :mod:`seloss.root` finds what
it has copied. In a checkout nothing is copied.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools.command.build_py import build_py

__all__ = ["FOLDERS", "BuildPy"]

FOLDERS = ("configs", "egs", "scripts")
_SUFFIXES = {".csv", ".json", ".md", ".py", ".sh", ".yml"}


class BuildPy(build_py):
    """Build as usual, then copy :data:`FOLDERS` to ``seloss/files``."""

    def run(self) -> None:
        """Run the command."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / "seloss" / "files"
        for folder in FOLDERS:
            for source in sorted(Path(folder).rglob("*")):
                if source.suffix in _SUFFIXES and source.is_file():
                    copy = target / source
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(source, copy)
