"""Scores of several systems side by side, unit by unit.

A unit has scores of its own: an utterance, or a segment of one phone. Units are paired by the
utterance's id (and the segment's times), never by their order in a file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evaluation.phonemes.classes import PhoneClasses
from evaluation.score.columns import grouping
from evaluation.work.tables import read_table

from .columns import is_outcome
from .statistics import ClusterSums
from .systems import System

__all__ = ["LEVELS", "Level", "Panel", "Slice", "read_panel", "slices"]

ALL = "all"
# Times of one segment agree to this many decimals in tables written with six digits.
TIME_DECIMALS = 3


@dataclass(frozen=True)
class Level:
    """Type of table to compare.

    Attributes:
        name: `utterance`, `phoneme` or `recognition`.
        file: the table, in a test set's folder of metrics.
        program: what writes it.
        key: the columns that name a unit.
        weights: by score, the column of the units' weights; units of other scores count once.
    """

    name: str
    file: str
    program: str
    key: tuple[str, ...]
    weights: Mapping[str, str] = field(default_factory=dict, hash=False)


LEVELS = {
    level.name: level
    for level in (
        Level("utterance", "metrics_by_sample.csv", "utt_eval", ("id",)),
        Level("phoneme", "phoneme_segments.csv", "ph_eval", ("id", "start_s", "end_s", "phone")),
        Level(
            "recognition",
            "recognition_by_sample.csv",
            "recognise",
            ("id",),
            {"WER_out": "words", "PER_out": "phones"},
        ),
    )
}


@dataclass(frozen=True)
class Panel:
    """One level's scores of all systems over the union of their units.

    Attributes:
        level: which table they come from.
        units: one row per unit: its key, `speaker`, `class` and what groups it.
        values: by system and score, `(seeds, units)`, NaN where missing.
        weights: by score, `(units,)`.
    """

    level: Level
    units: pd.DataFrame
    values: dict[str, dict[str, NDArray[np.float64]]]
    weights: dict[str, NDArray[np.float64]]

    @property
    def scores(self) -> list[str]:
        """The scores that are compared, in the order of the first system's table."""
        return list(next(iter(self.values.values())))

    def scored(self, system: str, score: str) -> NDArray[np.bool_]:
        """Return which units have the score in every seed of the system."""
        return np.asarray(np.isfinite(self.values[system][score]).all(0))

    def sums(
        self,
        system: str,
        score: str,
        chosen: NDArray[np.bool_],
        clusters: NDArray[np.intp],
    ) -> ClusterSums:
        """Gather the chosen units of a score by cluster."""
        n_clusters = int(clusters.max(initial=-1)) + 1
        weights = self.weights[score] * chosen
        # 0 for other units: NaN times a weight of 0 would be NaN.
        values = np.where(chosen, self.values[system][score], 0.0) * weights
        return ClusterSums(
            np.stack([np.bincount(clusters, row, n_clusters) for row in values]),
            np.bincount(clusters, weights, n_clusters).astype(np.float64),
        )


@dataclass(frozen=True)
class Slice:
    """A part of the units: one phoneme class, one group.

    Attributes:
        of_class: "all" or the class.
        group: "all" or the group's value.
        chosen: `(units,)`.
    """

    of_class: str
    group: str
    chosen: NDArray[np.bool_]


def slices(panel: Panel, by: str | None, classes: PhoneClasses) -> Iterator[Slice]:
    """Yield the whole and the parts: every class, every group, every class in every group.

    Parts are the unions of classes (consonant, vowel) too. ``by`` is the column that groups units.
    """
    everything = np.ones(len(panel.units), dtype=bool)
    by_class = {ALL: everything}
    if "class" in panel.units:
        labels = panel.units["class"].astype(str)
        present = set(labels)  # of another table of classes perhaps, with one of a group's name
        for name in classes.ordered([*labels, *classes.groups]):
            members = (name,) if name in present else classes.groups[name]
            by_class[name] = labels.isin(members).to_numpy()
    by_group = {ALL: everything}
    if by is not None:
        groups = grouping(panel.units[by])
        for value in groups.cat.categories:
            by_group[str(value)] = (groups == value).to_numpy()
    for group, in_group in by_group.items():
        for of_class, in_class in by_class.items():
            if (chosen := in_class & in_group).any():
                yield Slice(of_class, group, chosen)


def read_panel(
    systems: Sequence[System],
    level: Level,
    scores: Sequence[str] | None = None,
    ids: Collection[str] | None = None,
) -> Panel:
    """Read one level's tables of all systems and bring them onto the same units.

    ``scores`` are the columns to compare; None: all that score the estimate and that every system
    has. Of the utterances only ``ids`` count; None: all.

    Raises:
        FileNotFoundError: a system has not been evaluated so.
        ValueError: a table names a unit twice, lacks a column, or no score is in all of them.
    """
    tables = {
        system.name: [_read(testset.metrics, level, tag) for tag, testset in system.testsets]
        for system in systems
    }
    flat = [table for seeds in tables.values() for table in seeds]
    # All units that any system has, in the order of the first system's table.
    index = flat[0].index
    for table in flat[1:]:
        index = index.union(table.index, sort=False)
    columns = _columns(flat, level, scores)
    values = {
        name: {
            score: np.stack([_column(table, score, index) for table in seeds]) for score in columns
        }
        for name, seeds in tables.items()
    }
    units = flat[0].reindex(index)
    for table in flat[1:]:
        units = units.combine_first(table).reindex(index)
    weights = {
        score: np.ones(len(index))
        if score not in level.weights
        else np.nan_to_num(_column(units, level.weights[score], index).clip(min=0))
        for score in columns
    }
    units = units.reset_index()
    # Facts of the utterances that samples.csv has and the table has not.
    samples = systems[0].testsets[0][1].samples().set_index("id")
    for column in samples.columns.difference(units.columns, sort=False):
        units[column] = units["id"].map(samples[column])
    return _only(Panel(level, units, values, weights), ids)


def _only(panel: Panel, ids: Collection[str] | None) -> Panel:
    """Keep the units of some utterances."""
    if ids is None:
        return panel
    kept = panel.units["id"].isin(list(ids)).to_numpy()
    if kept.all():
        return panel
    values = {
        system: {name: score[:, kept] for name, score in scores.items()}
        for system, scores in panel.values.items()
    }
    weights = {name: weight[kept] for name, weight in panel.weights.items()}
    return Panel(panel.level, panel.units[kept].reset_index(drop=True), values, weights)


def _read(folder: Path, level: Level, tag: str) -> pd.DataFrame:
    """Return a table by its key."""
    path = folder / level.file
    if not path.is_file():
        raise FileNotFoundError(f"no {path}: run evaluation.{level.program} on {tag} first")
    table = read_table(path)
    lacking = [column for column in level.key if column not in table]
    if lacking:
        raise ValueError(f"{path} lacks the column {lacking[0]!r}; it has {', '.join(table)}")
    for column in ("start_s", "end_s"):
        if column in level.key:
            table[column] = table[column].round(TIME_DECIMALS)
    table = table.set_index(list(level.key))
    if not table.index.is_unique:
        twice = table.index[table.index.duplicated()][0]
        raise ValueError(f"{path} holds {twice!r} twice; expected one row for each")
    return table


def _column(table: pd.DataFrame, name: str, index: pd.Index) -> NDArray[np.float64]:
    column = pd.to_numeric(table[name], errors="coerce").reindex(index)
    values = column.to_numpy(dtype=np.float64)
    # Infinite scores have no mean: they count as missing.
    return np.where(np.isfinite(values), values, np.nan)


def _columns(tables: list[pd.DataFrame], level: Level, names: Sequence[str] | None) -> list[str]:
    """Return the columns to compare."""
    common = [name for name in tables[0] if all(name in table for table in tables)]
    numeric = [name for name in common if is_outcome(name)]
    if names is None:
        chosen = numeric
    else:
        chosen = [name for name in dict.fromkeys(names) if name in common]
        longer = [f"{name}_out" for name in names if name not in common]
        chosen += [name for name in longer if name in common]
    if not chosen:
        raise ValueError(
            f"no score to compare is in {level.file} of every system; requested: "
            f"{', '.join(names or ['all'])}; in all tables: {', '.join(numeric) or 'none'}"
        )
    return chosen
