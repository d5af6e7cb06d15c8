"""Check that the packages that come with SELoss are not hidden by others of their names.

One distribution, ``seloss``, installs four packages. The package index has other distributions that
install ``asteroid``, ``auditus`` and ``evaluation``; where one of them was installed later, its
files lie over these.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

__all__ = ["PACKAGES", "check_packages"]

PACKAGES = ("asteroid", "auditus", "evaluation")
_MARK = "seloss"  # stands in the first file of each of ours


def check_packages() -> None:
    """Refuse an installation in which one of :data:`PACKAGES` is not ours; nothing is imported.

    Raises:
        ImportError: Which one, where it lies, and the commands that repair it.
    """
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        first = Path(spec.origin) if spec and spec.origin else None
        if first is None or _MARK not in first.read_text(encoding="utf-8"):
            problem = f"{first} belongs to another distribution" if first else "it is not there"
            raise ImportError(
                f"seloss brings a package {name} of its own, but {problem}. Do: "
                f"pip uninstall {name}; pip install --force-reinstall --no-deps seloss",
                name=name,
            )
