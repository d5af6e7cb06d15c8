"""Work over processes: results, errors, and a process that dies."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from evaluation.work.parallel import run_each

ROOT = Path(__file__).parents[3]


def work(item: int) -> int:
    """Square, unless told to fail or to die; run in other processes, hence at the top."""
    if item == 3:
        raise ValueError("three is bad")
    if item == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return item * item


def threads(_: int) -> tuple[int, int]:
    return torch.get_num_threads(), os.getpid()


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_is_its_own_items_outcome(jobs: int) -> None:
    outcomes = {one.item: one for one in run_each(work, [0, 1, 2, 3, 4], jobs=jobs)}
    assert {item: one.result for item, one in outcomes.items()} == {
        0: 0,
        1: 1,
        2: 4,
        3: None,
        4: 16,
    }
    assert outcomes[3].error == "ValueError: three is bad"
    assert not any(one.error for item, one in outcomes.items() if item != 3)


def test_a_process_that_dies_takes_no_other_result_along() -> None:
    outcomes = {one.item: one for one in run_each(work, [1, 5, 3, 2, 4, 6], jobs=2)}
    assert sorted(outcomes) == [1, 2, 3, 4, 5, 6]
    assert outcomes[5].error == "the process that worked on it died"
    assert outcomes[3].error == "ValueError: three is bad"
    assert all(one.result == item**2 for item, one in outcomes.items() if item not in (3, 5))


def test_processes_use_one_thread_each_and_leave_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    results = [one.result for one in run_each(threads, [0, 1], jobs=2)]
    assert all(result is not None and result[0] == 1 for result in results)
    assert all(result is not None and result[1] != os.getpid() for result in results)
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ


def test_nothing_to_do_starts_nothing(tmp_path: Path) -> None:
    assert list(run_each(work, [], jobs=4)) == []


PREPARED = """
import os, signal, sys
from evaluation.work.parallel import prepare_workers, run_each

def known(name):
    if name == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    return name in sys.modules, os.environ["OMP_NUM_THREADS"], os.getppid()

if __name__ == "__main__":
    prepare_workers("colorsys")
    found = {one.item: one for one in run_each(known, ["colorsys", "die", "chunk"], jobs=2)}
    assert found["die"].error == "the process that worked on it died", found
    assert found["colorsys"].result[:2] == (True, "1"), found
    assert not found["chunk"].result[0]
    assert os.getpid() not in (one.result[2] for one in found.values() if one.result), found
"""


UNGUARDED = """
import json
from evaluation.work.parallel import run_each
from tests.evaluation.work.test_parallel import threads

print([outcome.error for outcome in run_each(threads, [0, 1], jobs=2)])
"""


def test_a_script_without_a_main_guard_is_told_so(tmp_path: Path) -> None:
    """Each worker imports the script, and would start workers of its own."""
    script = tmp_path / "unguarded.py"
    script.write_text(UNGUARDED, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, env=environment
    )
    assert done.returncode != 0
    assert "must do so under `if __name__ == '__main__':`" in done.stderr.splitlines()[-1]


def test_a_long_folder_for_temporary_files_is_no_trouble(tmp_path: Path) -> None:
    script = tmp_path / "prepared.py"
    # Without a fork server (its socket would have too long a path) nothing is imported before, and
    # the script itself is the workers' parent.
    text = PREPARED.replace('assert found["colorsys"].result[:2]', "#")
    script.write_text(text.replace("assert os.getpid() not in", "#"), "utf-8")
    folder = tmp_path / ("x" * 60)
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        env={**os.environ, "TMPDIR": str(folder)},
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(
    "forkserver" not in multiprocessing.get_all_start_methods(), reason="no such server here"
)
def test_prepared_workers_have_their_modules_and_may_die_as_others(tmp_path: Path) -> None:
    script = tmp_path / "prepared.py"
    script.write_text(PREPARED, encoding="utf-8")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
