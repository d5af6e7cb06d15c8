"""Tables as files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from asteroid.utils.files import atomic_path

__all__ = ["write_table"]


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV, in one step; numbers with six digits."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")
