"""Options of a network: the arguments of its class, read from the source.

The class is not imported for it: a misspelt option is refused before torch is there.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import importlib.util
import inspect
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from seloss.program import load_plugin

from .option import ConfigError, Option, descriptions

__all__ = ["class_options", "load_class"]

_PLAIN = {"int": int, "float": float, "bool": bool, "str": str, "None": None, "dict": dict}


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
    docs = descriptions(ast.get_docstring(node))
    arguments = [*init.args.posonlyargs, *init.args.args][1:]
    # The syntax tree has defaults of the last arguments only.
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
