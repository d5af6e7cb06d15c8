"""Tasks that an evaluation submits (tests/cluster runs them on a scheduler)."""

from __future__ import annotations

import json
import os

import pytest

from tests.warm_python import python


@pytest.fixture
def evaluate(launch, folder):
    (folder / "clusters" / "mine.yml").write_text(
        "scheduler: slurm\ngpus: 2\nnodes: 2\n", encoding="utf-8"
    )
    (folder / "experiments" / "XP" / "logs").mkdir(parents=True)
    (folder / "experiments" / "XP" / "best_model.pth").touch()
    return lambda *words, net="fasnet": launch("evaluate_job", net, *words)


def plan(text: str) -> dict:
    """Return the submitted plan that a dry run shows."""
    return json.loads(text[text.rindex(".json:\n") + 7 :])


@pytest.mark.parametrize("net", ["fasnet", "dccrn", "dcunet", "cnunet"])
def test_one_process_evaluates_whatever_the_profile_gives_to_training(evaluate, folder, net):
    done = evaluate("--dry-run", "XP", "1,2", "2", "mine", "--", "--device", "cpu", net=net)
    assert done.returncode == 0, done.stderr
    assert "--time=2:00:00" in done.stdout
    assert "--array" not in done.stdout
    assert "--nodes=1 " in done.stdout
    content, test = plan(done.stdout), str(folder / "data" / "unseen.json")
    assert (content["nodes"], content["ranks"]) == (1, 1)
    program = [python(), "-m", "seloss.cli.cluster.evaluate", net]
    assert content["tasks"] == [
        {
            "run_dir": str(folder / "experiments" / "XP"),
            "name": "eval_unseen",
            "command": [*program, "--device", "cpu", "1,2", "XP", test],
        }
    ]


def test_parts_become_an_array_of_those_that_are_missing(evaluate, folder):
    words = ("--dry-run", "--shards", "3", "--parallel", "2", "XP", "all", "2", "mine")
    assert "--array=1-3%2" in evaluate(*words).stdout
    for index in (1, 3):
        marker = folder / "experiments" / "XP" / "logs" / f".eval_unseen_{index}_of_3.done"
        marker.touch()
    again = evaluate(*words).stdout
    assert "--array" not in again
    assert "--part" in plan(again)["tasks"][0]["command"]
    assert [task["name"] for task in plan(again)["tasks"]] == ["eval_unseen_2_of_3"]
    os.utime(folder / "experiments" / "XP" / "best_model.pth", (4e9, 4e9))  # trained again
    assert "--array=1-3%2" in evaluate(*words).stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["XP", "1", "2"], "the following arguments are required: CLUSTER"),
        (["XP", "x", "2", "mine"], "STAGE must be 1 to 4, a list of them, or all; got 'x'"),
        (["XP", "1", "soon", "mine"], "walltime must be hours or H:MM:SS; got 'soon'"),
        (["XP", "1", "2", "yours"], "cluster must be one of auto, local, mine; got 'yours'"),
        (["--shards", "2", "XP", "3", "2", "mine"], "stages 1 and 2 are shared among tasks"),
        (
            ["--shards", "no", "XP", "1", "2", "mine"],
            "--shards: must be a number from 1 on",
        ),
        (["--what", "XP", "1", "2", "mine"], "unrecognized arguments: --what"),
    ],
)
def test_wrong_usage(evaluate, words, message):
    done = evaluate(*words)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.splitlines()[-1].startswith("evaluate_fasnet_job.sh: error: ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["NO", "1", "2", "mine"], "train it first (scripts/train/train_fasnet.sh)"),
        (["XP", "1", "2", "mine", "/nowhere.json"], "no test set /nowhere.json"),
    ],
)
def test_what_is_missing_is_named(evaluate, words, message):
    done = evaluate(*words)
    assert done.returncode == 1
    assert message in done.stderr
