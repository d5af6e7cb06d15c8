"""The aligner against labels made by hand, on recordings of the mini corpus."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from evaluation.phonemes.aligner import align
from evaluation.phonemes.alignment import Phone
from evaluation.phonemes.classes import SILENCE, read_classes
from evaluation.phonemes.textgrid import read_textgrid
from seloss.data.formats.audio import decode
from seloss.data.mini.archives import Archive, fetch, read_members

TABLE = Path(__file__).parents[3] / "configs" / "mini_corpus.yml"
RATE = 16000
WORDS = {"two_plus_two": "two plus two", "three_plus_five": "three plus five"}


def _spoken(phones: tuple[Phone, ...]) -> list[tuple[Phone, str]]:
    table = read_classes()
    alphabet = table.alphabet_of(phone.label for phone in phones)
    kinds = [(phone, table.classify(phone.label, alphabet)) for phone in phones]
    return [(phone, kind) for phone, kind in kinds if kind != SILENCE]


@pytest.mark.slow
def test_starts_of_phones_are_near_those_set_by_hand(tmp_path):
    pinned = yaml.safe_load(TABLE.read_text(encoding="utf-8"))["archives"]["phonlab"]
    archive = Archive(**pinned)
    wanted = {
        f"data/example_audio/{name}.{ending}" for name in WORDS for ending in ("wav", "TextGrid")
    }
    members = dict(read_members(fetch(archive), wanted, root=archive.root))
    errors = []
    for name, words in WORDS.items():
        grid = tmp_path / f"{name}.TextGrid"
        grid.write_bytes(members[f"data/example_audio/{name}.TextGrid"])
        by_hand = _spoken(read_textgrid(grid).phones)
        speech = decode(members[f"data/example_audio/{name}.wav"], RATE)[0]
        ours = _spoken(align(speech, RATE, words).phones)
        assert [kind for _, kind in ours] == [kind for _, kind in by_hand]
        errors += [
            one.start - other.start for (one, _), (other, _) in zip(ours, by_hand, strict=True)
        ]
    assert np.median(np.abs(errors)) < 0.03
    assert np.mean(np.abs(errors) < 0.05) > 0.8
