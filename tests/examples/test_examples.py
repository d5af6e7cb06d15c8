"""The examples run as their readers would run them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from tests.data import make_manifest, make_mixture
from tests.programs import ROOT, run

EXAMPLES = ROOT / "examples"


def test_a_training_loop_of_ones_own_learns(tmp_path: Path) -> None:
    manifest = make_manifest(tmp_path, seconds=2.0)
    printed = run(EXAMPLES / "training_loop.py", manifest, "--steps", 12).stdout
    values = [float(value) for value in re.findall(r"loss (-?[\d.]+) dB", printed)]
    assert len(values) == 12
    assert np.mean(values[-3:]) < np.mean(values[:3]) - 0.5


def test_a_corpus_of_ones_own_becomes_a_manifest(tmp_path: Path) -> None:
    for take in ("take_01", "take_02"):
        folder = tmp_path / "recordings" / take
        folder.mkdir(parents=True)
        mixture, speech, _ = make_mixture(0.5, n_mics=2, seed=int(take[-1]))
        for side, channel in (("left", 0), ("right", 1)):
            sf.write(folder / f"{side}.wav", mixture[channel], 16000)
            sf.write(folder / f"{side}_clean.wav", speech[channel], 16000)
        (folder / "words.txt").write_text("said this\n", encoding="utf-8")
    manifest = tmp_path / "manifest.json"
    printed = run(EXAMPLES / "own_corpus.py", tmp_path / "recordings", manifest).stdout
    assert "2 mixtures of 2 microphones" in printed
    entries = json.loads(manifest.read_text(encoding="utf-8"))
    assert [entry["transcript"] for entry in entries] == ["said this", "said this"]


@pytest.mark.slow
def test_the_notebook_runs_and_says_what_it_promises() -> None:
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(EXAMPLES / "metrics.ipynb", as_version=4)
    NotebookClient(notebook, timeout=300).execute()
    shown = "".join(
        output.get("text", "") or "".join(output.get("data", {}).get("text/plain", ""))
        for cell in notebook.cells
        for output in cell.get("outputs", [])
    )
    assert "si_sdr: dB, higher is better: True" in shown
    assert "nan" in shown
    # the loss is the metric with its sign turned
    last = re.findall(r"tensor\(\[([^\]]+)\]", notebook.cells[-1].outputs[0]["data"]["text/plain"])
    negated, metric = (np.fromstring(values, sep=",") for values in last[:2])
    np.testing.assert_allclose(negated, metric, atol=1e-3)
