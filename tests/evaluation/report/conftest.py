"""Two judged systems on three utterances, with phones: what a report is made of."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from evaluation.score import cli as utt_eval
from tests.evaluation.folder import make_experiment

PHONES = [(0.0, 0.1, "sil"), (0.1, 0.3, "AA1"), (0.3, 0.45, "<s>&"), (0.45, 0.6, "N")]


@pytest.fixture(scope="session")
def experiments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of experiments `plain` and `weighted`, judged."""
    root = tmp_path_factory.mktemp("experiments")
    for tag, gain in (("plain", 0.5), ("weighted", 0.2)):
        folder = make_experiment(root, tag, gain=gain)
        arguments = ["--experiment_tag", tag, "--root", str(root), "--jobs", "0"]
        assert utt_eval.main([*arguments, "--metrics", "si_sdr", "stoi", "lsd"]) == 0
        _write_phones(folder)
    return root


def _write_phones(folder: Path) -> None:
    names = ("start_s", "end_s", "phone")
    table = pd.concat(
        pd.DataFrame(PHONES, columns=names).assign(id=f"utt-{index}", **{"class": "vowel"})
        for index in range(3)
    )
    judged = table.assign(**{"FW-SDR_out": table["end_s"] * (1 + len(folder.parent.name))})
    judged.to_csv(folder / "metrics" / "phoneme_segments.csv", index=False)
