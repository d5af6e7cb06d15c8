"""The runner of all programs: exit statuses, errors in one line, signals, several processes."""

import argparse
import subprocess
import sys

import pytest

from seloss.program import Preempted, UsageError, mark_resumable, run_command, run_program


def raising(error):
    def main(argv):
        raise error

    return main


def run_tool(*arguments, work=lambda options: None):
    return run_command(argparse.ArgumentParser(prog="tool"), work, list(arguments))


@pytest.mark.parametrize(("returned", "status"), [(None, 0), (0, 0), (1, 1)])
def test_the_status_is_what_the_program_returns(returned, status):
    assert run_tool(work=lambda options: returned) == status
    assert run_program(lambda argv: returned, []) == status


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UsageError("wrong"), 2),
        (ValueError("bad data"), 1),
        (FileNotFoundError("gone"), 1),
        (ModuleNotFoundError("pip install it"), 1),
        (Preempted(12), 75),
    ],
)
def test_an_end_is_explained_in_one_line(capsys, monkeypatch, error, status):
    monkeypatch.setattr(sys, "argv", ["/some/where/train.py"])
    assert run_program(raising(error), []) == status
    printed = capsys.readouterr().err
    assert printed.startswith("train.py: ")
    assert str(error) in printed
    assert printed.count("\n") == 1
    assert ("--debug" in printed) == (str(error) == "bad data")


def test_debug_shows_the_traceback_with_the_same_status(capsys):
    def work(options):
        raise ValueError("deep inside")

    assert run_tool("--debug", work=work) == 1
    assert "Traceback" in capsys.readouterr().err
    assert run_program(raising(ValueError("deep inside")), ["--", "--debug"]) == 1
    assert "Traceback" not in capsys.readouterr().err  # after --, it is not this program's


def test_a_bug_is_not_turned_into_a_line():
    with pytest.raises(KeyError):
        run_program(raising(KeyError("name")), [])


def test_wrong_usage_and_help_leave_as_argparse_does():
    for argument, status in (("--no-such-option", 2), ("--help", 0)):
        with pytest.raises(SystemExit) as left:
            run_tool(argument)
        assert left.value.code == status


def test_an_interruption_says_whether_anything_was_saved(capsys):
    def main(argv):
        if argv:
            mark_resumable()
        raise KeyboardInterrupt

    assert run_program(main, ["save"], prog="tool") == 130
    assert capsys.readouterr().err == "tool: stopped; the same command resumes\n"
    assert run_program(main, [], prog="tool") == 130  # not what an earlier run has saved
    assert capsys.readouterr().err == "tool: stopped; nothing was saved yet\n"


def test_lightnings_exits_are_recognised(capsys):
    class SIGTERMException(SystemExit):
        pass

    def interrupted(argv):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            sys.exit(1)

    assert run_program(interrupted, []) == 130
    assert run_program(raising(SIGTERMException()), []) == 143
    with pytest.raises(SystemExit) as left:
        run_program(raising(SystemExit(3)), [])
    assert left.value.code == 3


@pytest.mark.parametrize(
    ("error", "status", "is_said"),
    [
        (UsageError("wrong"), 2, False),  # as process 0, which says why
        (Preempted(3), 0, False),
        (KeyboardInterrupt(), 130, False),
        (ValueError("bad data"), 1, True),  # perhaps this process's alone
    ],
)
def test_of_several_processes_the_first_explains(capsys, monkeypatch, error, status, is_said):
    monkeypatch.setenv("RANK", "1")
    assert run_program(raising(error), []) == status
    assert bool(capsys.readouterr().err) == is_said


def test_a_preempted_run_under_torchrun_is_no_crash(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    assert run_program(raising(Preempted(3)), []) == 0


def test_only_the_standard_library_is_imported():
    code = (
        "import sys; before = set(sys.modules); import seloss.program;"
        "print({m.split('.')[0] for m in set(sys.modules) - before}"
        " - sys.stdlib_module_names - {'seloss', 'lazy_loader'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
