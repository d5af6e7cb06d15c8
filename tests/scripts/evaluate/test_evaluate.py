"""Stages of an evaluation, their refusals and failures (egs/test_recipes.py runs the stages)."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.data import make_manifest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def evaluate(launch, folder):
    (folder / "experiments" / "XP1").mkdir(parents=True)
    return lambda *words, **changes: launch("evaluate", "fasnet", *words, **changes)


def programs(text: str) -> list[str]:
    words = (shlex.split(line) for line in text.splitlines())
    return [line[2] if line[1] == "-m" else Path(line[1]).name for line in words]


INFER, SCORE = "custom_inference.py", "evaluation.utt_eval"
RECOGNISE, PHONES = "evaluation.recognise", "evaluation.ph_eval"


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        ("1", [INFER]),
        ("2", [SCORE]),
        ("1,2", [INFER, SCORE]),
        ("1 2", [INFER, SCORE]),
        ("2, 1", [SCORE, INFER]),
        ("3", [RECOGNISE]),
        ("4,3", [PHONES, RECOGNISE]),
        ("all", [INFER, SCORE, RECOGNISE, PHONES]),
    ],
)
def test_stages(evaluate, stage, expected):
    done = evaluate("--dry-run", stage, "XP1")
    assert done.returncode == 0, done.stderr
    assert programs(done.stdout) == expected


def test_the_commands(evaluate, folder):
    done = evaluate("--dry-run", "--device", "cpu", "--jobs", "2", "all", "XP1")
    first, second, *others = (shlex.split(line) for line in done.stdout.splitlines())
    experiment = folder / "experiments" / "XP1"
    assert first[first.index("--model_path") + 1] == str(experiment / "best_model.pth")
    assert first[first.index("--output_dir") + 1] == str(experiment / "unseen")
    assert first[first.index("--device") + 1] == "cpu"
    assert second[1:3] == ["-m", "evaluation.utt_eval"]
    assert second[second.index("--testset") + 1] == "unseen"
    for command in (second, *others):
        assert command[command.index("--testset") + 1] == "unseen"
        assert command[command.index("--jobs") + 1] == "2"


def test_stages_that_need_a_transcript(evaluate, folder):
    done = evaluate("--dry-run", "--recogniser", "whisper:my model", "3", "XP1")
    command = shlex.split(done.stdout)
    assert command[command.index("--recogniser") + 1] == "whisper:my model"
    silent = make_manifest(folder / "silent", n_items=1, seconds=0.3, transcript=None)
    done = evaluate("--dry-run", "all", "XP1", str(silent))
    assert programs(done.stdout) == [INFER, SCORE]
    assert "[stage 3] recognise left out" in done.stderr
    assert "has no transcript, textgrid, phones" in done.stderr
    assert programs(evaluate("--dry-run", "3", "XP1", str(silent)).stdout) == [
        RECOGNISE
    ]  # asked for
    known = make_manifest(
        folder / "known", n_items=1, seconds=0.3, transcript="", phones=[[0, 1, "a"]]
    )
    assert programs(evaluate("--dry-run", "all", "XP1", str(known)).stdout) == [
        INFER,
        SCORE,
        PHONES,
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["1"], "the following arguments are required: EXPERIMENT_TAG"),
        (["5", "XP1"], "STAGE must be 1 to 4, a list of them, or all; got '5'"),
        (["", "XP1"], "STAGE must be 1 to 4, a list of them, or all; got ''"),
        (["1x2", "XP1"], "got '1x2'"),
        (["--what", "1", "XP1"], "unrecognized arguments: --what"),
        (["1", "../XP1"], "the tag must be the plain name of a folder"),
    ],
)
def test_wrong_usage(evaluate, arguments, message):
    done = evaluate(*arguments)
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["1", "XP9"], "XP9: train it first"),
        (["1", "XP1", "/nowhere/test.json"], "no test set /nowhere/test.json"),
    ],
)
def test_what_is_missing_is_named(evaluate, arguments, message):
    done = evaluate(*arguments)
    assert done.returncode == 1
    assert message in done.stderr


def test_a_failed_stage_fails_the_launcher_and_stops_it(evaluate, folder):
    script = ROOT / "scripts" / "evaluate" / "evaluate_fasnet.sh"
    command = ["bash", str(script), "all", "XP1"]  # trained nothing: there is no best_model.pth
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "best_model.pth" in done.stderr
    assert "evaluate_fasnet.sh: error: stage 1 (inference) failed" in done.stderr
    assert "stage 2" not in done.stderr
    log = folder / "experiments" / "XP1" / "logs" / "inference.log"
    assert "best_model.pth" in log.read_text(encoding="utf-8")


@pytest.mark.parametrize("net", ["dccrn", "dcunet", "cnunet"])
def test_other_networks_share_one_program_of_enhancement(launch, net):
    done = launch("evaluate", net, "--dry-run", "--metrics", "pesq_wb stoi", "1,2", "XP1")
    first, second = (shlex.split(line) for line in done.stdout.splitlines())
    assert first[1:3] == ["-m", "evaluation.infer"]
    assert second[second.index("--metrics") + 1 :] == ["pesq_wb", "stoi"]


RECORDING = """#!/bin/sh
echo "${SELOSS_SHARD:-whole} $2" >>told
"""


def test_the_part_that_is_last_joins_and_a_newer_network_asks_for_all_anew(
    evaluate, folder, monkeypatch
):
    """The stages' programs are replaced by one that notes which part of what it is asked for."""
    (folder / "python").write_text(RECORDING)
    (folder / "python").chmod(0o755)
    monkeypatch.setenv("PYTHON", str(folder / "python"))
    network = folder / "experiments" / "XP1" / "best_model.pth"
    for path in (network, folder / "data" / "unseen.json"):
        path.touch()
        os.utime(path, (1e9, 1e9))

    def part(index: int) -> list[str]:
        done = evaluate("--part", f"{index}/2", "2,3", "XP1")
        assert done.returncode == 0, done.stderr
        lines = (folder / "told").read_text(encoding="utf-8").splitlines()
        (folder / "told").unlink()
        return lines

    assert part(2) == [f"2/2 {SCORE}"]
    assert part(1) == [f"1/2 {SCORE}", f"whole {SCORE}", f"whole {RECOGNISE}"]
    os.utime(network, (4e9, 4e9))  # trained again since
    assert part(1) == [f"1/2 {SCORE}"]
