"""How programs end."""

import argparse

import pytest

from seloss.cli.command import run_command


def run(error=None, arguments=()):
    def work(options):
        if error is not None:
            raise error

    return run_command(argparse.ArgumentParser(prog="tool"), work, list(arguments))


def test_success_is_zero():
    assert run() == 0


@pytest.mark.parametrize("error", [ValueError("a wrong value"), FileNotFoundError("no file x")])
def test_a_known_error_is_one_line_and_one(error, capsys):
    assert run(error) == 1
    told = capsys.readouterr().err
    assert told == f"tool: {error}\n"


def test_debug_shows_the_traceback():
    with pytest.raises(ValueError, match="a wrong value"):
        run(ValueError("a wrong value"), ["--debug"])


def test_an_interruption_is_130_and_wrong_usage_2(capsys):
    assert run(KeyboardInterrupt()) == 130
    assert "start it again" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        run(arguments=["--no-such-option"])
    assert caught.value.code == 2
