"""Programs of the warm interpreter behave as those of a real one."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.programs import run, surroundings
from tests.warm_python import python

SHOWN = "import json, os, sys; print(json.dumps([sys.argv, os.getcwd(), os.environ.get('HERE')]))"


@pytest.mark.parametrize("module", [False, True])
def test_arguments_folder_and_environment_arrive(module, tmp_path):
    (tmp_path / "shown.py").write_text(SHOWN)
    command = ["-m", "shown"] if module else ["-c", SHOWN]
    told = [
        run(one, *command, "a b", "", "é", cwd=tmp_path, HERE="x y").stdout
        for one in (python(), sys.executable)
    ]
    assert told[0] == told[1]
    assert told[0].count('"a b"') == 1


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("import sys; sys.exit(3)", 3, ""),
        ("raise SystemExit('no')", 1, "no\n"),
        ("raise ValueError('wrong')", 1, "ValueError: wrong\n"),
        ("import os; os.abort()", -signal.SIGABRT, ""),
        ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL, ""),
        ("import atexit, sys; atexit.register(print, 'end', file=sys.stderr)", 0, "end\n"),
    ],
)
def test_it_ends_as_the_program_does(code, status, error):
    done = run("-c", code, status=status)
    assert done.stderr.endswith(error)
    assert done.stdout == ""


def test_libraries_are_there_and_nothing_of_ours():
    code = "import sys; print([m in sys.modules for m in ('torch', 'asteroid', 'seloss')])"
    assert run("-c", code).stdout == "[True, False, False]\n"
    assert run(python(), "-X", "dev", "-c", code).stdout == "[False, False, False]\n"
    assert run("-c", code, PYTHONHASHSEED=1).stdout == "[False, False, False]\n"


WAITING = "import os, signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); "
WAITING += "print(os.getpid(), flush=True); time.sleep(60)"


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 7), (signal.SIGINT, -2), (signal.SIGKILL, -9)]
)
def test_signals_reach_the_program(number, status):
    command = [python(), "-c", WAITING]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=surroundings()
    )
    assert process.stdout is not None
    program = psutil.Process(int(process.stdout.readline()))
    process.send_signal(number)
    assert process.wait(timeout=60) == status
    deadline = time.monotonic() + 30
    while program.is_running() and program.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_server_ends_with_its_process():
    code = "import sys; sys.path.insert(0, '.'); from tests.warm_python import python; "
    code += "p = python(); print(p, python.server.pid)"
    path, number = run(sys.executable, "-c", code).stdout.split()
    deadline = time.monotonic() + 60
    while psutil.pid_exists(int(number)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not Path(path).exists()
