"""Parts of a test set for the tasks of a job array.

Task ``i`` of ``N`` takes every N-th sample from the i-th on, whatever is finished already, so that
a failed task can be run again alone and has the same samples.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

__all__ = ["Shard", "add_shard_option"]

T = TypeVar("T")


@dataclass(frozen=True)
class Shard:
    """A part of a test set: number ``index``, from 1 on, of ``count``."""

    index: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.count:
            raise ValueError(f"a shard must be from 1/{self.count} on; got {self.index}")

    def part(self, samples: Sequence[T]) -> list[T]:
        """Return the samples of this part."""
        return list(samples[self.index - 1 :: self.count])

    @property
    def suffix(self) -> str:
        """End of the names of this part's files."""
        return f"{self.index}_of_{self.count}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``2/8``, for ``type=``."""
        match = re.fullmatch(r"([0-9]+)/([0-9]+)", text)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise argparse.ArgumentTypeError(f"must be i/N with i from 1 to N; got {text!r}")
        return cls(int(match[1]), int(match[2]))


def add_shard_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--shard``, whose default a job array's task sets by ``SELOSS_SHARD``."""
    parser.add_argument(
        "--shard",
        type=Shard.parse,
        default=os.environ.get("SELOSS_SHARD"),  # text: argparse reads it as if it were given
        metavar="I/N",
        help="do the I-th of N parts only, as a task of a job array; run again without it for the "
        "tables (default: $SELOSS_SHARD)",
    )
