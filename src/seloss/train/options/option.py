"""Options of a class, read from its signature: name, type, default and description.

A network's class is read from its source, not imported: a misspelt option is refused before torch
is there.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import importlib.util
import inspect
import json
import re
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union

import yaml

from seloss.program import UsageError, load_plugin

__all__ = [
    "ConfigError",
    "Option",
    "class_options",
    "dataclass_options",
    "load_class",
]

_WRONG = object()
_PLAIN = {"int": int, "float": float, "bool": bool, "str": str, "None": None, "dict": dict}


class ConfigError(UsageError):
    """An option of training, its value or its combination with an existing run is wrong."""


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes:
        name: Dotted, such as ``loss.scale``.
        type: As annotated; ``Any`` where that could not be read.
        default: ``dataclasses.MISSING`` if there is none, or none that could be read.
        help: Its description in the docstring of its class.
    """

    name: str
    type: Any
    default: Any = dataclasses.MISSING
    help: str = ""

    def read(self, value: Any) -> Any:
        """Return a value of a YAML file as this option's type.

        Raises:
            ConfigError: It is none; the message says what was expected.
        """
        try:
            return _convert(self.type, value)
        except (ValueError, TypeError) as error:
            raise ConfigError(f"{self.name}: {error}") from None

    def read_text(self, text: str) -> Any:
        """Return a word of the command line as this option's type; ``a,b`` is a list too.

        Raises:
            ConfigError: It is none; the message says what was expected.
        """
        types = _alternatives(self.type)
        if str in types:
            return self.read(None if text == "null" and NoneType in types else text)
        if any(typing.get_origin(each) is tuple for each in types) and text[:1] != "[":
            text = text if text == "null" else f"[{text}]"
        try:
            return self.read(yaml.safe_load(text))
        except yaml.YAMLError:
            return self.read(text)

    def describe(self) -> str:
        """Return its help: description, type and default."""
        types = " or ".join(_describe(each) for each in _alternatives(self.type))
        known = self.default is not dataclasses.MISSING
        default = f"; default: {json.dumps(self.default)}" if known else ""
        return f"{self.help} ({types.removeprefix('must be ')}{default})"


def dataclass_options(config_class: type, prefix: str = "") -> Iterator[Option]:
    """Yield the options of a dataclass and of the dataclasses it holds."""
    types = typing.get_type_hints(config_class)
    docs: dict[str, str] = {}
    for base in reversed(config_class.__mro__):
        docs |= _descriptions(base.__doc__)
    for entry in dataclasses.fields(config_class):
        name, kind = f"{prefix}{entry.name}", types[entry.name]
        if dataclasses.is_dataclass(kind):
            yield from dataclass_options(typing.cast(type, kind), f"{name}.")
        else:
            default = entry.default
            if entry.default_factory is not dataclasses.MISSING:
                default = entry.default_factory()
            yield Option(name, kind, default, docs.get(entry.name, ""))


def class_options(reference: str, prefix: str = "") -> Iterator[Option]:
    """Yield the options of a class: the arguments of its constructor, read from its source.

    Args:
        reference: As for `load_class`.
        prefix: Stands before their names.

    Raises:
        ConfigError: There is no such class.
    """
    place, _, class_name = reference.rpartition(":")
    file = _source_file(place, reference)
    tree, node, init = _constructor(file, class_name, reference) if file else (None, None, None)
    if tree is None or node is None or init is None:  # registered, or inherited: import it
        base = next(base for base in load_class(reference).__mro__ if "__init__" in vars(base))
        file = Path(inspect.getsourcefile(base) or "")
        tree, node, init = _constructor(file, base.__name__, reference)
    assert init is not None
    docs = _descriptions(ast.get_docstring(node))
    arguments = [*init.args.posonlyargs, *init.args.args][1:]
    required = len(arguments) - len(init.args.defaults)
    defaults = [*[None] * required, *init.args.defaults, *init.args.kw_defaults]
    for argument, default in zip([*arguments, *init.args.kwonlyargs], defaults, strict=True):
        kind, text = _annotated(argument.annotation), docs.get(argument.arg, "")
        yield Option(f"{prefix}{argument.arg}", kind, _constant(default, tree), text)


def load_class(reference: str) -> type:
    """Import a network's class.

    Args:
        reference: ``package.module:Class``, ``FILE.py:Class``, or a name that Asteroid knows.

    Raises:
        ConfigError: There is no such class.
    """
    place, separator, class_name = reference.rpartition(":")
    if not separator:
        from asteroid import models

        try:
            return typing.cast(type, models.get(reference))
        except ValueError as error:
            raise ConfigError(f"network: {error}") from None
    is_file = place.endswith(".py")
    module = load_plugin(place) if is_file else importlib.import_module(place)
    loaded = getattr(module, class_name, None)
    if not isinstance(loaded, type):
        raise ConfigError(f"network {reference}: {place} has no class {class_name}")
    return loaded


def _source_file(place: str, reference: str) -> Path | None:
    """Return the file of a module, without importing it; None if there is no such file."""
    if place.endswith(".py"):
        return Path(place)
    package, _, inside = place.partition(".")
    spec = importlib.util.find_spec(package) if package else None  # imports nothing
    if place and (spec is None or not spec.submodule_search_locations):
        raise ConfigError(f"network {reference}: no package {package}")
    folders = (spec and spec.submodule_search_locations) or []
    files = (Path(folder, *inside.split(".")).with_suffix(".py") for folder in folders)
    return next((file for file in files if file.is_file()), None)


def _constructor(
    file: Path, name: str, reference: str
) -> tuple[ast.Module, ast.ClassDef, ast.FunctionDef | None]:
    """Return a file's content, a class in it, and its ``__init__``, None if it is inherited."""
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"network {reference}: {file}: {error.strerror or error}") from None
    except (SyntaxError, ValueError) as error:
        raise ConfigError(f"network {reference}: {file} is not Python: {error}") from None
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    if name not in classes:
        there = ", ".join(classes) or "no class"
        raise ConfigError(f"network {reference}: {file} defines no {name}; it has {there}")
    functions = (part for part in classes[name].body if isinstance(part, ast.FunctionDef))
    init = next((part for part in functions if part.name == "__init__"), None)
    return tree, classes[name], init


def _constant(node: ast.expr | None, tree: ast.Module) -> Any:
    """Return the value of a default: a literal, or the name of one in the same file."""
    if isinstance(node, ast.Name):
        for line in tree.body:
            if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == node.id:
                return _constant(line.value, tree)
    try:
        return dataclasses.MISSING if node is None else ast.literal_eval(node)
    except ValueError:
        return dataclasses.MISSING


def _annotated(node: ast.expr | None) -> Any:
    """Return the type that an annotation's source says, ``Any`` if it is not one of the usual."""
    if isinstance(node, ast.BinOp):
        return _annotated(node.left) | _annotated(node.right)
    if isinstance(node, ast.Subscript):
        name = ast.unparse(node.value).rpartition(".")[2]
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if name == "Literal":
            return Literal[tuple(ast.literal_eval(part) for part in parts)]
        if name in ("tuple", "list", "Sequence"):
            return tuple.__class_getitem__((_annotated(parts[0]), ...))
        return dict if name in ("dict", "Mapping") else Any
    return _PLAIN.get(ast.unparse(node), Any) if node is not None else Any


def _alternatives(kind: Any) -> tuple[Any, ...]:
    union = typing.get_origin(kind) in (Union, UnionType)
    return typing.get_args(kind) if union else (kind,)


def _convert(kind: Any, value: Any) -> Any:
    """Return a value as a type; raise a ValueError that says what was expected."""
    types = _alternatives(kind)
    for each in types:
        converted = _as(each, value)
        if converted is not _WRONG:
            return converted
    expected = " or ".join(_describe(each) for each in types)
    lead = "" if expected.startswith("must") else "expected "
    raise ValueError(f"{lead}{expected}; got {value}")


def _as(kind: Any, value: Any) -> Any:
    """Return a value as one type that is no union; `_WRONG` if it is of another."""
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any or (origin is Literal and value in inside):
        return value
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(_convert(inside[0], item) for item in value)
    if kind is str and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if kind is float and isinstance(value, (int, str)) and not isinstance(value, bool):
        try:
            return float(value)  # YAML takes 1e-4 for a text
        except ValueError:
            return _WRONG
    return value if type(value) is (origin or kind) else _WRONG


def _describe(kind: Any) -> str:
    origin = typing.get_origin(kind)
    if origin is Literal:
        choices = dict.fromkeys(str(choice) for choice in typing.get_args(kind))
        return f"must be one of {', '.join(choices)}"
    if origin is tuple:
        return "a list such as a,b"
    return "null" if kind is NoneType else getattr(kind, "__name__", str(kind))


def _descriptions(doc: str | None) -> dict[str, str]:
    """Return what the ``Args`` or ``Attributes`` of a Google docstring say of each name."""
    text = inspect.cleandoc(doc or "")
    section = re.search(r"^(?:Args|Attributes):\n(.*?)(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    entries = re.split(r"^    (?=\S)", section[1], flags=re.MULTILINE) if section else []
    pairs = (entry.partition(":") for entry in entries)
    return {name.split(" ")[0]: " ".join(text.split()) for name, _, text in pairs if name}
