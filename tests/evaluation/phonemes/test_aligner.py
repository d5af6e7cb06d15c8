"""Words, pronunciations and the built-in aligner, on synthetic sounds whose phones are known."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from scipy.signal import butter, lfilter, sosfilt

from evaluation.phonemes import aligner
from evaluation.phonemes.aligner import DOUBTFUL_FIT, align, aligned
from evaluation.phonemes.pronunciation import guess, letters_to_phones, read_lexicon

RATE = 16000
FORMANTS = ((730, 80), (1090, 100), (2440, 140), (3400, 200))
# the aligner's own step is 10 ms; onsets of hiss are less sharp to it than those of the vowel
TOLERANCE_S = 0.03
LEXICON = {"sas": "S AA S"}
RECORDING = "moonshine_voice"  # brings a recording whose words are known
WORDS = "Ever tried. Ever failed. No matter. Try again. Fail again. Fail better."


def _sas(seed: int = 1) -> np.ndarray:
    """0.3 s of silence, 0.2 s of S, 0.3 s of AA, 0.2 s of S, 0.3 s of silence."""
    draw = np.random.default_rng(seed)

    def hiss() -> np.ndarray:
        band = butter(4, (2800, 7500), "bandpass", fs=RATE, output="sos")
        return 0.15 * sosfilt(band, draw.standard_normal(int(0.2 * RATE)))

    pulses = 0.003 * draw.standard_normal(int(0.3 * RATE))
    pulses[:: RATE // 120] += 1
    vowel = np.zeros_like(pulses)
    for formant, bandwidth in FORMANTS:
        radius = np.exp(-np.pi * bandwidth / RATE)
        turn = 2 * radius * np.cos(2 * np.pi * formant / RATE)
        vowel += lfilter([1 - radius], [1, -turn, radius**2], pulses)
    pause = np.zeros(int(0.3 * RATE))
    sound = [pause, hiss(), 0.6 * vowel / np.abs(vowel).max(), hiss(), pause]
    joined = np.concatenate(sound)
    return joined + 1e-4 * draw.standard_normal(len(joined))


def test_phones_are_found_where_they_were_put():
    found = [p for p in align(_sas(), RATE, "Sas!", LEXICON).phones if p.label != "SIL"]
    assert [phone.label for phone in found] == ["S", "AA", "S"]
    expected = [(0.3, 0.5), (0.5, 0.8), (0.8, 1.0)]
    for phone, (start, end) in zip(found, expected, strict=True):
        assert phone.start == pytest.approx(start, abs=TOLERANCE_S)
        assert phone.end == pytest.approx(end, abs=TOLERANCE_S)


def test_level_and_rate_do_not_matter_nor_what_came_before():
    first = align(_sas(), RATE, "sas", LEXICON)
    with pytest.raises(ValueError, match="cannot be placed"):
        align(_sas(), RATE, "the birch canoe slid on the smooth planks")
    assert align(_sas(), RATE, "sas", LEXICON) == first
    quiet = align(1e-3 * _sas(), RATE, "sas", LEXICON)
    assert quiet.phones == first.phones
    double = np.repeat(_sas(), 2)  # crude, its images lie above what the model hears
    at_double = align(double, 2 * RATE, "sas", LEXICON)
    for one, other in zip(at_double.phones, first.phones, strict=True):
        assert one.start == pytest.approx(other.start, abs=0.021)


def test_a_wrong_vowel_fits_worse():
    right = align(_sas(), RATE, "sas", LEXICON)
    wrong = align(_sas(), RATE, "sis", {"sis": "S IY S"})
    assert right.fit is not None
    assert wrong.fit is not None
    assert DOUBTFUL_FIT < right.fit < 0
    assert wrong.fit < right.fit - 5


@pytest.mark.parametrize(
    ("speech", "words", "message"),
    [
        (np.zeros(RATE), "yes", "silent"),
        (_sas(), " ... ", "holds no word"),
        (_sas(), "[laughter] <unk>", "holds no word"),
        (_sas(), "\u4f60\u597d", "no pronunciation for"),
        (_sas()[:800], "the quick brown fox", "cannot be placed"),
    ],
)
def test_what_cannot_be_aligned_says_why(speech, words, message):
    with pytest.raises(ValueError, match=message):
        align(speech, RATE, words)


def test_results_are_kept_and_damage_is_repaired(tmp_path: Path, monkeypatch):
    first = aligned(_sas(), RATE, "sas", LEXICON, tmp_path)
    (file,) = tmp_path.rglob("*.json")
    monkeypatch.setattr(aligner, "align", lambda *_: pytest.fail("aligned again"))
    assert aligned(_sas(), RATE, "SAS.", LEXICON, tmp_path) == first
    monkeypatch.undo()
    file.write_text(file.read_text(encoding="utf-8")[:20], encoding="utf-8")
    assert aligned(_sas(), RATE, "sas", LEXICON, tmp_path) == first
    # another pronunciation is another alignment
    aligned(_sas(), RATE, "sas", {"sas": "S AO S"}, tmp_path)
    assert len(list(tmp_path.rglob("*.json"))) == 2


def test_unknown_words_are_pronounced_by_rule_and_named():
    found = align(_sas(), RATE, "sass")  # in the dictionary
    assert not any("by rule" in note for note in found.notes)
    odd = align(_sas(), RATE, "sasz")
    assert any("pronounced by rule: sasz" in note for note in odd.notes)


@pytest.mark.skipif(
    importlib.util.find_spec(RECORDING) is None, reason=f"{RECORDING} is not installed"
)
def test_a_right_transcript_fits_real_speech_and_a_wrong_one_does_not():
    spec = importlib.util.find_spec(RECORDING)
    assert spec is not None
    assert spec.origin is not None
    speech, rate = sf.read(Path(spec.origin).with_name("assets") / "beckett.wav")
    right = align(speech, rate, WORDS)
    assert right.notes == ()
    labels = " ".join(phone.label for phone in right.phones if phone.label != "SIL")
    assert labels.startswith("EH V ER T R AY D EH V ER F EY L D N OW M AE T ER")
    # six sentences with a pause after each
    pauses = [phone for phone in right.phones if phone.label == "SIL" and phone.start > 0]
    assert sum(phone.end - phone.start > 0.4 for phone in pauses) == 6
    wrong = align(speech, rate, "it was the best of times it was the worst of times")
    assert any("fits badly" in note for note in wrong.notes)


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("blicks", "B L IH K S"),
        ("dog's", "D AO G Z"),
        ("foxes", "F AA K S IH Z"),
        ("dogging", "D AA G IH NG"),
        ("dogfox", "D AO G F AA K S"),
        ("shploon", "SH P L UW N"),
    ],
)
def test_guesses_follow_stems_compounds_and_rules(word, phones):
    known = {"dog": "D AO G", "fox": "F AA K S", "foxe": None}
    assert guess(word, known.get) == phones


def test_rules_say_something_for_every_letter():
    for letter in "abcdefghijklmnopqrstuvwxyz":
        assert letters_to_phones(f"m{letter}m").split()[0] == "M"
    assert letters_to_phones("\u4f60") == ""


def test_a_lexicon_is_checked_line_by_line(tmp_path: Path):
    file = tmp_path / "lexicon.txt"
    file.write_text(";; note\nSas  S AA1 S\n\nblick\tB L IH K\n", encoding="utf-8")
    assert read_lexicon(file) == {"sas": "S AA S", "blick": "B L IH K"}
    file.write_text("sas S AX S\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"line 1: 'AX' is no ARPAbet phone"):
        read_lexicon(file)
    file.write_text("ok OW K EY\nsas\n", encoding="utf-8")
    with pytest.raises(ValueError, match="line 2: no phones"):
        read_lexicon(file)
    with pytest.raises(FileNotFoundError, match="none"):
        read_lexicon(tmp_path / "none")
