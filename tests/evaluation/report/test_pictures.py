"""Spectrograms of the page: right way up, one pixel per cell, differences signed."""

from __future__ import annotations

import io

import matplotlib
import numpy as np
import pytest
from PIL import Image

from evaluation.report.pictures import difference_picture, levels_db, spectrogram_picture

RATE = 16000


def rgb(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), dtype=int)


def tone(frequency: float, level: float = 0.5) -> np.ndarray:
    return level * np.sin(2 * np.pi * frequency * np.arange(RATE) / RATE)


def test_a_tone_is_a_bright_row_at_its_height_from_below() -> None:
    levels = levels_db(tone(2000), RATE)
    picture = rgb(spectrogram_picture(levels, levels.max()))
    assert picture.shape[:2] == levels.shape
    brightest = picture.sum(axis=2)[:, picture.shape[1] // 2].argmax()
    assert (len(levels) - 1 - brightest) * 8000 / (len(levels) - 1) == pytest.approx(2000, abs=32)


def test_the_level_of_a_tone_is_its_amplitude() -> None:
    # A Hann window's main bin of a tone of amplitude a, scaled to magnitude: a.
    assert levels_db(tone(2000, 0.5), RATE).max() == pytest.approx(20 * np.log10(0.5), abs=0.1)


def test_a_picture_is_as_long_as_its_signal() -> None:
    for samples in (1, 100, 8000, 16001):
        assert levels_db(np.ones(samples), RATE).shape[1] == max(1, -(-samples // 128))


def test_louder_is_red_softer_is_blue_and_what_nobody_sees_is_neutral() -> None:
    reference = np.full((4, 4), -20.0)
    shown = reference + np.array([[30.0], [-30.0], [0.0], [0.0]])
    reference[3], shown[3] = -150.0, -120.0  # both below the range
    picture = rgb(difference_picture(shown, reference, 0.0))[::-1, 0]
    middle = np.asarray(matplotlib.colormaps["RdBu_r"](128)[:3]) * 255
    assert picture[0][0] > picture[0][2] + 50
    assert picture[1][2] > picture[1][0] + 50
    assert np.allclose(picture[2], middle, atol=3)
    assert np.allclose(picture[3], middle, atol=3)
