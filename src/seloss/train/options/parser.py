"""From ``conf.yml`` and the command line to a recipe's configuration, or to a one-line refusal."""

from __future__ import annotations

import difflib
import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

import yaml
from jsonargparse import ArgumentParser

from seloss.program import UsageError

from .loss_flags import expand_loss_flags, loss_options
from .recipe import PUBLISHED_FLAGS, Recipe, defaults_of, option_names

__all__ = ["ConfigError", "Parsed", "parse_recipe"]

R = TypeVar("R", bound=Recipe)
_PROGRAM_FLAGS = ("config", "overwrite", "debug", "help", "print_config")


class ConfigError(UsageError):
    """An option, its value or its combination with an existing experiment is wrong."""


@dataclass(frozen=True)
class Parsed(Generic[R]):
    """What a recipe was asked to do.

    Attributes:
        config: The configuration.
        overwrite: Whether an existing run in its folder is to be thrown away.
    """

    config: R
    overwrite: bool


class _Parser(ArgumentParser):
    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        raise ConfigError(_readable(message))


def parse_recipe(
    config_class: type[R], argv: Sequence[str], *, prog: str, description: str, defaults: Path
) -> Parsed[R]:
    """Return the configuration of a recipe.

    Later wins: the defaults of ``config_class``, the file ``defaults``, the ``--config`` files in
    their order, the other flags. A flag is an option's name (``--loss.scale``), its last part if no
    other option ends in it (``--scale``), or a published name (`PUBLISHED_FLAGS`).

    Raises:
        ConfigError: An unknown option, or a wrong value; the message lists the valid ones.
    """
    flags = _flags(config_class)
    try:
        spelt_out, loss_files = expand_loss_flags(argv)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    arguments = _files_first([_translate(argument, flags) for argument in spelt_out], loss_files)
    arguments = _bracket_lists(_complete_switches(arguments, config_class), config_class)
    parser = _Parser(
        prog=prog,
        usage=f"{prog} [--config FILE] [--OPTION VALUE] ...",
        description=description,
        epilog=_epilog(flags),
    )
    parser.add_argument(
        "--config", action="config", help="YAML file with options; such as an experiment's conf.yml"
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="throw away the run that exp_dir holds and start anew (otherwise it is resumed)",
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.add_class_arguments(config_class)
    arguments = ["--config", str(defaults), *arguments]
    for index, (flag, file) in enumerate(itertools.pairwise(arguments), start=1):
        if flag == "--config":
            arguments[index] = _checked_file(Path(file), option_names(config_class))
    if "--print_config" in arguments:  # nothing is printed that would be refused
        _read(parser, config_class, [one for one in arguments if one != "--print_config"])
    return _read(parser, config_class, arguments)


def _read(parser: _Parser, config_class: type[R], arguments: Sequence[str]) -> Parsed[R]:
    parsed = parser.parse_args(arguments)
    try:
        instance = parser.instantiate(parsed)
    except (TypeError, ValueError) as error:
        raise ConfigError(str(error)) from None
    names = config_class.__dataclass_fields__
    config = config_class(**{name: instance[name] for name in names})
    return Parsed(config, parsed.overwrite)


def _flags(config_class: type[Recipe]) -> dict[str, str]:
    """Return every accepted flag, without its dashes, and the option it sets."""
    names = option_names(config_class)
    groups = {name.split(".")[0] for name in names if "." in name}
    last = [name.rpartition(".")[2] for name in names]
    short = {
        part: name
        for part, name in zip(last, names, strict=True)
        if last.count(part) == 1 and part not in {*groups, "name"}
    }
    return {**short, **PUBLISHED_FLAGS, **{name: name for name in names}}


def _translate(argument: str, flags: dict[str, str]) -> str:
    """Replace a short or published flag by the option's full name."""
    match = re.fullmatch(r"--([A-Za-z][\w.\-/]*)(=.*)?", argument, flags=re.DOTALL)
    if match is None or match[1] in _PROGRAM_FLAGS:
        return argument
    if match[1] not in flags:
        short = sorted(flag for flag in flags if "." not in flag)
        raise ConfigError(_unknown(f"--{match[1]}", match[1], short, "the flags are --"))
    return f"--{flags[match[1]]}{match[2] or ''}"


def _files_first(arguments: Sequence[str], loss_files: Sequence[str]) -> list[str]:
    """Move every ``--config FILE`` to the front, so that a flag wins over it in any place.

    The files of losses come after the others.
    """
    files: list[str] = []
    others: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument.startswith("--config="):
            files += ["--config", argument.partition("=")[2]]
        elif argument == "--config":
            files += ["--config", *itertools.islice(rest, 1)]
        else:
            others.append(argument)
    for file in loss_files:
        files += ["--config", file]
    return [*files, *others]


def _complete_switches(arguments: Sequence[str], config_class: type[Recipe]) -> list[str]:
    """Let ``--compile`` alone mean ``--compile true``."""
    switches = {f"--{name}" for name, value in defaults_of(config_class) if isinstance(value, bool)}
    made: list[str] = []
    for argument, following in itertools.zip_longest(arguments, arguments[1:], fillvalue="--"):
        alone = argument in switches and following.startswith("--")
        made.append(f"{argument}=true" if alone else argument)
    return made


def _bracket_lists(arguments: Sequence[str], config_class: type[Recipe]) -> list[str]:
    """Let ``--metrics a,b`` mean ``[a,b]``, which a shell may take for a pattern of file names."""
    lists = {f"--{name}" for name, value in defaults_of(config_class) if isinstance(value, tuple)}
    made = list(arguments)
    for index, (flag, value) in enumerate(itertools.pairwise(arguments), start=1):
        if flag in lists and not value.startswith("["):
            made[index] = f"[{value}]"
    return made


def _checked_file(path: Path, known: Sequence[str]) -> str:
    """Return a configuration file's path, or its content where that had to be rewritten.

    Refuses one that is missing, no YAML mapping, or holds an unknown key.
    """
    try:
        written = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not YAML: {error}") from None
    tree = loss_options(written)
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} must hold options as 'key: value'; got {type(tree).__name__}")
    _check_keys(path, tree, known, "")
    return str(path) if tree == written else json.dumps(tree)


def _check_keys(path: Path, tree: dict[Any, Any], known: Sequence[str], prefix: str) -> None:
    here = sorted({name[len(prefix) :].split(".")[0] for name in known if name.startswith(prefix)})
    for key, value in tree.items():
        if key not in here:
            raise ConfigError(
                _unknown(f"{path}: key {prefix}{key}", str(key), here, "the keys here are ")
            )
        inside = f"{prefix}{key}."
        if any(name.startswith(inside) for name in known):
            if not isinstance(value, dict):
                raise ConfigError(f"{path}: {prefix}{key} must hold options; got {value!r}")
            _check_keys(path, value, known, inside)


def _unknown(what: str, name: str, known: Sequence[str], lead: str) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    dashes = "--" if lead.endswith("--") else ""
    guess = f" (did you mean {dashes}{near[0]}?)" if near else ""
    separator = f", {dashes}"
    return f"{what} is unknown{guess}; {lead}{separator.join(known)}"


def _epilog(flags: dict[str, str]) -> str:
    short = ", ".join(f"--{flag}" for flag, name in flags.items() if flag != name)
    return (
        f"The last part of an option's name, or its published name, will do: {short}. "
        "--loss_preset NAME takes a loss from configs/losses."
    )


def _readable(message: str) -> str:
    """Turn jsonargparse's words into ours: option, what was expected, what came."""
    text = " ".join(message.split())
    text = re.sub(r'^Parser key "([^"]+)": ', r"\1: ", text)
    text = re.sub(r"Does not validate against any of the Union subtypes .* Errors: ", "", text)
    text = re.sub(r" Given value type: .* Given value:", ". Got value:", text)
    text = re.sub(r"- Expected a <class '(\w+)'>", r"- \1", text)
    text = re.sub(r": - (\w+) - NoneType", r": expected \1 or null", text)
    text = re.sub(r"Expected a <class 'tuple'>", "expected a list such as a,b", text)
    text = re.sub(r"Expected a (?:typing\.)?Literal\[([^\]]*)\]", _choices, text)
    text = re.sub(r"Expected a <class '(\w+)'>", r"expected \1", text)
    return re.sub(r"\. Got value: ", "; got ", text)


def _choices(match: re.Match[str]) -> str:
    choices = match[1].replace(chr(39), "").split(", ")
    return f"must be one of {', '.join(dict.fromkeys(choices))}"
