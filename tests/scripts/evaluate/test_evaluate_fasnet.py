"""What the recipe's smoke run does not show: stages, refusals, failures (egs/test_recipes.py runs
the stages themselves)."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.data import make_manifest

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "scripts" / "evaluate" / "evaluate_fasnet.sh"


@pytest.fixture
def evaluate(tmp_path):
    experiments = tmp_path / "my experiments"
    (experiments / "XP1").mkdir(parents=True)
    manifest = make_manifest(tmp_path / "my data", n_items=1, seconds=0.3, name="unseen.json")
    environment = {
        **os.environ,
        "SELOSS_EXPERIMENTS": str(experiments),
        "SELOSS_TEST_JSON": str(manifest),
        "PYTHON": sys.executable,
        "OMP_NUM_THREADS": "1",
    }

    def evaluate(*arguments: str, **changes: str):
        return subprocess.run(
            ["bash", str(SCRIPT), *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            cwd=tmp_path,
            env={**environment, **changes},
        )

    return evaluate


def programs(text: str) -> list[str]:
    words = (shlex.split(line) for line in text.splitlines())
    return [one[2] if one[1] == "-m" else Path(one[1]).name for one in words]


INFER, JUDGE = "custom_inference.py", "evaluation.utt_eval"
HEAR, PHONES = "evaluation.recognise", "evaluation.ph_eval"


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        ("1", [INFER]),
        ("2", [JUDGE]),
        ("1,2", [INFER, JUDGE]),
        ("1 2", [INFER, JUDGE]),
        ("2, 1", [JUDGE, INFER]),
        ("3", [HEAR]),
        ("4,3", [PHONES, HEAR]),
        ("all", [INFER, JUDGE, HEAR, PHONES]),
    ],
)
def test_stages(evaluate, stage, expected):
    done = evaluate("--dry-run", stage, "XP1")
    assert done.returncode == 0, done.stderr
    assert programs(done.stdout) == expected


def test_the_commands(evaluate, tmp_path):
    done = evaluate("--dry-run", "--device", "cpu", "--jobs", "2", "all", "XP1")
    first, second, *others = (shlex.split(line) for line in done.stdout.splitlines())
    experiment = tmp_path / "my experiments" / "XP1"
    assert first[first.index("--model_path") + 1] == str(experiment / "best_model.pth")
    assert first[first.index("--output_dir") + 1] == str(experiment / "unseen")
    assert first[first.index("--device") + 1] == "cpu"
    assert second[1:3] == ["-m", "evaluation.utt_eval"]
    assert second[second.index("--testset") + 1] == "unseen"
    for command in (second, *others):
        assert command[command.index("--testset") + 1] == "unseen"
        assert command[command.index("--jobs") + 1] == "2"


def test_stages_that_need_a_transcript(evaluate, tmp_path):
    done = evaluate("--dry-run", "--recogniser", "whisper:my model", "3", "XP1")
    command = shlex.split(done.stdout)
    assert command[command.index("--recogniser") + 1] == "whisper:my model"
    silent = make_manifest(tmp_path / "silent", n_items=1, seconds=0.3, transcript=None)
    done = evaluate("--dry-run", "all", "XP1", str(silent))
    assert programs(done.stdout) == [INFER, JUDGE]
    assert "[stage 3] recognise left out" in done.stderr
    assert "has no transcript, textgrid, phones" in done.stderr
    assert programs(evaluate("--dry-run", "3", "XP1", str(silent)).stdout) == [HEAR]  # asked for
    known = make_manifest(
        tmp_path / "known", n_items=1, seconds=0.3, transcript="", phones=[[0, 1, "a"]]
    )
    assert programs(evaluate("--dry-run", "all", "XP1", str(known)).stdout) == [
        INFER,
        JUDGE,
        PHONES,
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["1"], "2 or 3 arguments are needed; got 1"),
        (["5", "XP1"], "STAGE must be 1 to 4, a list of them, or all; got '5'"),
        (["", "XP1"], "STAGE must be 1 to 4, a list of them, or all; got nothing"),
        (["1x2", "XP1"], "got '1x2'"),
        (["--what", "1", "XP1"], "unknown option --what"),
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


def test_a_failed_stage_fails_the_script_and_stops_it(evaluate, tmp_path):
    done = evaluate("all", "XP1")  # trained nothing: there is no best_model.pth
    assert done.returncode == 1
    assert "best_model.pth" in done.stderr
    assert "stage 1 (inference) failed" in done.stderr
    assert "stage 2" not in done.stderr
    log = tmp_path / "my experiments" / "XP1" / "logs" / "inference.log"
    assert "best_model.pth" in log.read_text(encoding="utf-8")


def test_help(evaluate):
    done = evaluate("-h")
    assert done.returncode == 0
    assert "STAGE" in done.stdout
