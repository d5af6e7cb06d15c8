"""The seloss command: every program, found without importing any."""

import os
import subprocess
import sys

import pytest

from seloss.cli.main import COMMANDS, main


def test_help_lists_every_command_within_half_a_second():
    code = (
        "import sys; from seloss.cli.main import main; main(['--help'])\n"
        "print([m for m in ('torch', 'numpy', 'yaml') if m in sys.modules])"
    )
    before = os.times()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    after = os.times()
    user, system = (after[part] - before[part] for part in (2, 3))  # of child processes
    assert user + system < 0.5  # of processor time: the machine may be busy
    assert done.stdout.endswith("[]\n")
    assert not [name for name in COMMANDS if f"\n  {name} " not in done.stdout]


@pytest.mark.parametrize("name", [name for name, one in COMMANDS.items() if "*" not in one.place])
def test_a_command_is_its_program(name, capsys):
    with pytest.raises(SystemExit) as left:
        main([name, "--help"])
    assert left.value.code == 0
    text = capsys.readouterr().out
    assert "usage:" in text
    assert "--plugin" in text or not COMMANDS[name].place.startswith("evaluation")


def test_recipes_and_corpora_are_named_by_their_folder_and_file(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["seloss"])
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert main(["train"]) == main(["corpus", "--help"]) == 0
    text = capsys.readouterr().out
    assert "CNUNet, DCCRN, DCUNet, TAC" in text
    assert "make_mixtures" in text
    assert main(["train", "TAC", "--lrr", "1"]) == 2
    assert "train.py: error: --lrr is unknown (did you mean --lr?)" in capsys.readouterr().err
    assert main(["corpus", "make_mixtures", "--help"]) == 0
    assert "usage: make_mixtures" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("evalute", "no command evalute (did you mean evaluate?); there are enhance, train"),
        ("train TACC", "no name TACC (did you mean TAC?); there are CNUNet"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(line, message, capsys):
    assert main(line.split()) == 2
    assert message in capsys.readouterr().err
