"""Programs run in this process, where the process itself is not what is tested."""

from __future__ import annotations

import importlib.util
import io
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from seloss.program import run_command


class Done(NamedTuple):
    """What a program has written."""

    stdout: str
    stderr: str


@cache
def _load(program: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(program.stem, program)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(program: Path, *arguments: object, status: int = 0) -> Done:
    """Run a script as from the command line; its exit status must be ``status``."""
    module, out, err = _load(program), io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            actual = run_command(module.parser(), module.work, [str(one) for one in arguments])
        except SystemExit as leaving:  # argparse, after wrong usage
            actual = leaving.code
    assert actual == status, err.getvalue()
    return Done(out.getvalue(), err.getvalue())
