"""Genders of talkers, from lists that come with corpora."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

__all__ = ["genders_of", "read_talkers"]

_WORDS = {"f": "female", "female": "female", "m": "male", "male": "male"}


def _of_csv(lines: list[str]) -> Iterable[tuple[str, str]]:
    for row in csv.DictReader(lines):
        yield row.get("speaker") or "", row.get("gender") or ""


def _of_vctk(lines: list[str]) -> Iterable[tuple[str, str]]:
    """``p226  22  M  English  Surrey``, below a line of headings; some lists leave out the p."""
    for line in lines[1:]:
        words = line.split()
        if len(words) > 2:
            yield words[0] if words[0].startswith(("p", "s")) else f"p{words[0]}", words[2]


def _of_librispeech(lines: list[str]) -> Iterable[tuple[str, str]]:
    """``61 | M | test-clean | 8.08 | ...``; comments begin with a semicolon."""
    for line in lines:
        words = [word.strip() for word in line.split("|")]
        if not line.startswith(";") and len(words) > 1:
            yield words[0], words[1]


def read_talkers(path: Path) -> dict[str, str]:
    """Return speaker -> ``female`` or ``male``.

    Args:
        path: A .csv with columns speaker and gender, VCTK's speaker-info.txt or LibriSpeech's
            SPEAKERS.TXT.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It has no talker's gender.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    if path.suffix.lower() == ".csv":
        pairs = _of_csv(lines)
    elif any("|" in line for line in lines):
        pairs = _of_librispeech(lines)
    else:
        pairs = _of_vctk(lines)
    genders = {name: _WORDS[word.lower()] for name, word in pairs if word.lower() in _WORDS}
    if not genders:
        raise ValueError(
            f"{path} has no talker's gender: expected a .csv with the columns speaker and gender "
            "(female, male, F, M), VCTK's speaker-info.txt or LibriSpeech's SPEAKERS.TXT"
        )
    return genders


def genders_of(points: pd.DataFrame, talkers: Path | None) -> list[str | None]:
    """Return the gender of each point: what the data say, else the list, else None."""
    listed = read_talkers(talkers) if talkers else {}
    rows = zip(points["speaker"], points["gender"], strict=True)
    return [_WORDS.get(str(gender).lower()) or listed.get(name) for name, gender in rows]
