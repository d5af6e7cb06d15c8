"""Parser of ``conf.yml`` and the command line: a recipe's configuration, or a one-line refusal."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import typing
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

import yaml

from asteroid.utils.registry import did_you_mean
from seloss.program import load_plugin

from .loss import loss_from_preset, loss_from_text, loss_options
from .option import ConfigError, Option, read_tree, read_yaml
from .recipe import PUBLISHED_FLAGS, Recipe, options_of, plain

__all__ = ["ConfigError", "Parsed", "parse_recipe"]

R = TypeVar("R", bound=Recipe)
Tree = dict[str, Any]


@dataclass(frozen=True)
class Parsed(Generic[R]):
    """Configuration of a recipe, and what to do with an earlier run.

    Attributes:
        config: The configuration.
        overwrite: Whether an existing run in its folder is removed.
    """

    config: R
    overwrite: bool = False


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(message.removeprefix("argument "))


def parse_recipe(
    config_class: type[R],
    argv: Sequence[str],
    *,
    defaults: Path,
    prog: str = "train.py",
    description: str | None = None,
    check: Callable[[R], object] = lambda config: None,
) -> Parsed[R]:
    """Return the configuration of a recipe.

    Later wins: the defaults of the classes, the file ``defaults``, the ``--config`` files in their
    order, ``--loss_preset``, the other flags. A flag is an option's name (``--loss.scale``), its
    last part if no other option ends in it (``--scale``), or a published name (`PUBLISHED_FLAGS`).
    The options ``net.*`` are those of the class that ``network`` names. Every ``--plugin`` file is
    imported first.

    Args:
        config_class: `Recipe`, or one with options of its own.
        argv: Command line.
        defaults: The recipe's ``conf.yml``.
        prog: Name of the program.
        description: Of the program, for ``--help``.
        check: Refuses, by a ValueError, values that only the parts of a training can check.

    Raises:
        ConfigError: An unknown option, or a wrong value; the message lists the valid ones.
    """
    program = _program_flags()
    given, rest = program.parse_known_args(argv)
    trees = [_read_file(defaults), *(_read_file(Path(file)) for file in given.config)]
    trees += [(f"--loss_preset {name}", {"loss": loss_from_preset(name)}) for name in given.preset]
    trees += [(f"--loss {text}", {"loss": loss_from_text(text)}) for text in given.loss]
    plugins = given.plugin or [name for _, tree in trees for name in tree.get("plugin") or ()]
    for name in plugins:
        load_plugin(name)
    network = _drop_other_networks(trees, given.network)
    options = {option.name: option for option in options_of(config_class, network)}
    values = {name: option.default for name, option in options.items()}
    for place, tree in trees:
        values |= read_tree(place, tree, options)
    parser = _option_flags(options.values(), program, prog, description)
    flags, unknown = parser.parse_known_args(rest)
    if unknown:
        raise ConfigError(_unrecognised(unknown[0], options))
    texts = {name: text for name, text in vars(flags).items() if isinstance(text, str)}
    values |= {name: options[name].read_text(text) for name, text in texts.items()}
    values |= {"network": network, "plugin": tuple(plugins)}
    try:
        config = typing.cast(R, _build(config_class, values, ""))
        check(config)
    except (ValueError, TypeError, FileNotFoundError, ModuleNotFoundError) as error:
        raise ConfigError(str(error)) from error
    if given.print_config:
        print(yaml.safe_dump(plain(config), sort_keys=False, allow_unicode=True), end="")
        raise SystemExit(0)
    return Parsed(config, given.overwrite)


def _program_flags() -> _Parser:
    """Return the flags that are no option, or that decide which options there are."""
    parser = _Parser(add_help=False, allow_abbrev=False)
    add = parser.add_argument
    repeated: dict[str, Any] = {"action": "append", "default": []}
    add("--config", **repeated, metavar="FILE", help="YAML file with options, as a run's conf.yml")
    add(
        "--plugin",
        **repeated,
        metavar="FILE.py",
        help="import what registers a part of yours",
    )
    add("--network", metavar="FILE.py:CLASS", help="another network, or one that Asteroid knows")
    add("--loss", **repeated, help="a loss, a sum such as si_snr+0.5*lms, FILE.yml, FILE.py:CLASS")
    add("--loss_preset", dest="preset", **repeated, metavar="NAME", help="of configs/losses.yml")
    for flag, text in {
        "--overwrite": "throw away the run that exp_dir holds (otherwise it is resumed)",
        "--print_config": "print all options as resolved, and end",
        "--debug": "show the traceback of an error",
    }.items():
        add(flag, action="store_true", help=text)
    return parser


def _read_file(path: Path) -> tuple[str, Tree]:
    tree = loss_options(read_yaml(path))
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} must hold options as 'key: value'; got {type(tree).__name__}")
    if isinstance(tree.get("plugin"), str):
        tree["plugin"] = [tree["plugin"]]
    return str(path), tree


def _drop_other_networks(trees: list[tuple[str, Tree]], given: str | None) -> str:
    """Return the requested network; take options of others, named before it, out of the trees."""
    named = [tree.get("network") for _, tree in trees]
    current: list[str | None] = list(itertools.accumulate(named, lambda before, own: own or before))
    network = given or current[-1] or ""
    for (_, tree), of in zip(trees, current, strict=True):
        if of != network:
            tree.pop("net", None)
    return network


def _option_flags(
    options: Iterable[Option], program: _Parser, prog: str, description: str | None
) -> _Parser:
    """Return the parser of the options' flags; their values are texts."""
    parser = _Parser(
        prog=prog,
        usage=f"{prog} [--config FILE] [--OPTION VALUE] ...",
        description=description,
        epilog="The last part of an option's name will do where no other option ends in it.",
        parents=[program],
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    short = _short_flags([option.name for option in options])
    groups: dict[str, Any] = {}
    for option in options:
        section, _, _ = option.name.rpartition(".")
        group = groups.setdefault(section, parser.add_argument_group(section or "experiment"))
        if option.name in ("network", "plugin"):
            continue  # among the flags of the program
        names = [f"--{flag}" for flag, name in short.items() if name == option.name]
        switch = {"nargs": "?", "const": "true"} if option.type is bool else {}
        group.add_argument(
            *names,
            dest=option.name,
            metavar=option.name.rpartition(".")[2].upper(),
            help=option.describe().replace("%", "%%"),
            **switch,
        )
    return parser


def _short_flags(names: Sequence[str]) -> dict[str, str]:
    """Return every accepted flag, without its dashes, and the option it sets."""
    groups = {name.split(".")[0] for name in names if "." in name}
    last = [name.rpartition(".")[2] for name in names]
    short = {
        part: name
        for part, name in zip(last, names, strict=True)
        if last.count(part) == 1 and part not in {*groups, "name"}
    }
    published = {flag: name for flag, name in PUBLISHED_FLAGS.items() if name in names}
    return {**{name: name for name in names}, **short, **published}


def _unrecognised(argument: str, options: Iterable[str]) -> str:
    if not argument.startswith("--"):
        return f"unrecognized arguments: {argument}"
    flag = argument[2:].partition("=")[0]
    several = [f"--{name}" for name in options if name.endswith(f".{flag}")]
    if several:
        return f"--{flag} may be {' or '.join(several)}: give the whole name"
    flags = [*_short_flags(list(options)), "loss", "loss_preset", "config", "overwrite"]
    short = ", --".join(sorted(name for name in flags if "." not in name))
    return f"--{flag} is unknown{did_you_mean(flag, flags, '--')}; the flags are --{short}"


def _build(config_class: type, values: dict[str, Any], prefix: str) -> Any:
    """Return a configuration of the values that begin with a prefix."""
    types, arguments = typing.get_type_hints(config_class), {}
    for entry in dataclasses.fields(config_class):
        name, kind = f"{prefix}{entry.name}", types[entry.name]
        if dataclasses.is_dataclass(kind):
            arguments[entry.name] = _build(typing.cast(type, kind), values, f"{name}.")
        elif name == "net":
            chosen = {key: value for key, value in values.items() if key.startswith("net.")}
            arguments["net"] = {
                key.removeprefix("net."): value
                for key, value in chosen.items()
                if value is not dataclasses.MISSING  # as the class itself has it
            }
        else:
            arguments[entry.name] = values[name]
    return config_class(**arguments)
