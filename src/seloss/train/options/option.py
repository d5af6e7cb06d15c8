"""Option of a configuration: name, type, default, description, and its values out of YAML."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union

import yaml

from asteroid.utils.registry import did_you_mean
from seloss.program import UsageError

__all__ = ["ConfigError", "Option", "dataclass_options", "descriptions", "read_tree", "read_yaml"]

_WRONG = object()


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
        has_default = self.default is not dataclasses.MISSING
        default = f"; default: {json.dumps(self.default)}" if has_default else ""
        return f"{self.help} ({types.removeprefix('must be ')}{default})"


def dataclass_options(config_class: type, prefix: str = "") -> Iterator[Option]:
    """Yield the options of a dataclass and of the dataclasses it holds."""
    types = typing.get_type_hints(config_class)
    docs: dict[str, str] = {}
    for base in reversed(config_class.__mro__):
        docs |= descriptions(base.__doc__)
    for entry in dataclasses.fields(config_class):
        name, kind = f"{prefix}{entry.name}", types[entry.name]
        if dataclasses.is_dataclass(kind):
            yield from dataclass_options(typing.cast(type, kind), f"{name}.")
        else:
            default = entry.default
            if entry.default_factory is not dataclasses.MISSING:
                default = entry.default_factory()
            yield Option(name, kind, default, docs.get(entry.name, ""))


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file.

    Raises:
        ConfigError: It cannot be read, or is not YAML.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not YAML: {error}") from None


def read_tree(
    place: str, tree: Mapping[str, Any], options: Mapping[str, Option], prefix: str = ""
) -> dict[str, Any]:
    """Return the values of a file's content by the options' names.

    Args:
        place: Where they stand, for messages.
        tree: The content, or what of it is below a key.
        options: All there are, by name.
        prefix: Key of ``tree`` with a dot behind it; empty for the whole content.

    Raises:
        ConfigError: A key is unknown, or a value is of another type.
    """
    keys = sorted({n[len(prefix) :].split(".")[0] for n in options if n.startswith(prefix)})
    values: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if key not in keys:
            guess = did_you_mean(str(key), keys)
            raise ConfigError(
                f"{place}: key {name} is unknown{guess}; the keys here are {', '.join(keys)}"
            )
        if name in options:
            try:
                values[name] = options[name].read(value)
            except ConfigError as error:
                raise ConfigError(f"{place}: {error}") from None
        elif isinstance(value, dict):
            values |= read_tree(place, value, options, f"{name}.")
        else:
            raise ConfigError(f"{place}: {name} must hold options; got {value!r}")
    return values


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
    if origin is dict and isinstance(value, dict):
        return {_convert(inside[0], key): _convert(inside[1], v) for key, v in value.items()}
    # A name such as 32 is a number in YAML.
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


def descriptions(doc: str | None) -> dict[str, str]:
    """Return what the ``Args`` or ``Attributes`` of a Google docstring say of each name."""
    text = inspect.cleandoc(doc or "")
    section = re.search(r"^(?:Args|Attributes):\n(.*?)(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    entries = re.split(r"^    (?=\S)", section[1], flags=re.MULTILINE) if section else []
    pairs = (entry.partition(":") for entry in entries)
    return {name.split(" ")[0]: " ".join(text.split()) for name, _, text in pairs if name}
