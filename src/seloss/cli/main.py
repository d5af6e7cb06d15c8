"""The ``seloss`` command: every program of the project under one name.

``seloss COMMAND --help`` explains a command; the programs are imported only when they are run.
"""

from __future__ import annotations

import importlib
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast

from asteroid.utils.registry import did_you_mean
from seloss.root import ROOT

__all__ = ["COMMANDS", "main"]


class Command(NamedTuple):
    """A program: where it is, and what it does.

    Attributes:
        place: A module with a function ``main`` that takes the arguments and returns the exit
            status; or a folder, whose programs the first argument names.
        summary: One line for ``seloss --help``.
    """

    place: str
    summary: str


COMMANDS = {
    "enhance": Command("evaluation.enhance.cli", "enhance audio files with a trained network"),
    "train": Command("egs/*/train.py", "train a network: train RECIPE, as TAC, with its options"),
    "infer": Command("evaluation.infer", "enhance a test set with an experiment's network"),
    "evaluate": Command("evaluation.utt_eval", "score enhanced speech, utterance by utterance"),
    "phonemes": Command("evaluation.ph_eval", "score enhanced speech, phoneme by phoneme"),
    "retrieve": Command("evaluation.ph_retrieve", "extract phonemes from enhanced speech"),
    "recognise": Command("evaluation.recognise", "word errors of a recogniser"),
    "compare": Command("evaluation.compare.cli", "compare systems, with their confidence"),
    "report": Command("evaluation.report.cli", "page with scores and audio of several systems"),
    "listen": Command("evaluation.listening_results", "results of a listening test"),
    "spectra": Command("evaluation.spectra.cli", "spectra of speech, noise and what is left"),
    "table": Command("evaluation.table", "table of mean scores"),
    "noise-table": Command("evaluation.noise_table", "table of scores by noise and SNR"),
    "plot": Command("evaluation.compare_figure", "plots of several experiments' scores"),
    "loss-check": Command("evaluation.loss_check", "what a loss rewards and punishes"),
    "loss-spectrum": Command("evaluation.loss_spectrum", "the weight of each frequency in a loss"),
    "models": Command("seloss.pretrained.__main__", "trained networks that come with the package"),
    "export": Command("seloss.cli.export", "write a trained network as an ONNX file"),
    "submit": Command("seloss.cli.cluster.submit", "run a command on a cluster, or here"),
    "sweep": Command("seloss.cli.cluster.sweep", "train all combinations of options in a file"),
    "status": Command("seloss.cli.cluster.status", "states of the experiments' jobs"),
    "corpus": Command("scripts/data/*.py", "make training data: corpus PROGRAM, as make_mixtures"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name; return its exit status."""
    name, *arguments = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if name in ("-h", "--help"):
        print(_help())
        return 0
    if name not in COMMANDS:
        return _refuse("seloss", "command", name, list(COMMANDS))
    place = COMMANDS[name].place
    if "*" not in place:
        return cast(int, importlib.import_module(place).main(arguments))
    by_folder = place.endswith("*/train.py")
    files = sorted(ROOT.glob(place))
    programs = {(file.parent.name if by_folder else file.stem): file for file in files}
    part, *arguments = arguments or ["--help"]
    if part in ("-h", "--help"):
        print(f"usage: seloss {name} NAME [options]\n\nNAME is one of {', '.join(programs)}.")
        return 0
    if part not in programs:
        return _refuse(f"seloss {name}", "name", part, list(programs))
    return _run_file(programs[part], arguments)


def _run_file(file: Path, arguments: Sequence[str]) -> int:
    """Run a program as ``python FILE`` does; return its exit status."""
    sys.argv = [str(file), *arguments]
    sys.path.insert(0, str(file.parent))
    try:
        runpy.run_path(str(file), run_name="__main__")
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    return 0


def _refuse(prog: str, kind: str, name: str, names: Sequence[str]) -> int:
    guess = did_you_mean(name, names)
    print(f"{prog}: error: no {kind} {name}{guess}; there are {', '.join(names)}", file=sys.stderr)
    return 2


def _help() -> str:
    width = max(map(len, COMMANDS))
    rows = [f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items()]
    head = "usage: seloss COMMAND [options]\n\nTrain and evaluate speech enhancement.\n\ncommands:"
    return "\n".join([head, *rows, "", "seloss COMMAND --help explains a command."])
