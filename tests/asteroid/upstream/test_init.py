"""Importing the package of data sets."""

import subprocess
import sys

import asteroid.data


def test_nothing_heavy_is_imported_before_it_is_used():
    program = "import sys, seloss.data.mixing.make_mixtures; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_asteroids_own_data_sets_are_still_there():
    for name in ("LibriMix", "WhamDataset", "DNSDataset"):
        assert isinstance(getattr(asteroid.data, name), type)
    assert {"LibriMix", "AVSpeechDataset", "Wsj0mixDataset"} <= set(dir(asteroid.data))
