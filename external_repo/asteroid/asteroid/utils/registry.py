"""Named parts: look one up, build one with its options, add one of your own."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

__all__ = ["Registry", "check_choice", "did_you_mean"]

T = TypeVar("T", bound=Callable[..., object])


class Registry(Generic[T]):
    """A table from names to builders of one kind of part.

    Args:
        kind: What the parts are, for error messages, e.g. ``"scale"``.

    Example:
        >>> shapes = Registry("shape")
        >>> @shapes.register("square")
        ... def square(side: float) -> float:
        ...     return side * side
        >>> shapes.build("square", side=3.0)
        9.0
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._parts: dict[str, T] = {}
        self._files: dict[str, str] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that files a builder under ``name``.

        A file that is run again replaces what it has registered.

        Raises:
            ValueError: Another file has taken the name.
        """
        file = sys._getframe(1).f_code.co_filename
        if self._files.get(name, file) != file:
            where = self._files[name]
            raise ValueError(f"the {self.kind} {name!r} is registered already, by {where}")

        def add(part: T) -> T:
            self._parts[name], self._files[name] = part, file
            return part

        return add

    def get(self, name: str) -> T:
        """Return the builder filed under ``name``.

        Raises:
            ValueError: The name is unknown; the message lists the known ones.
        """
        check_choice(self.kind, name, self._parts)
        return self._parts[name]

    def build(self, name: str, **options: object) -> object:
        """Call the builder filed under ``name`` with ``options``."""
        return self.get(name)(**options)

    def names(self) -> list[str]:
        """Return the known names, in the order of registration."""
        return list(self._parts)

    def __contains__(self, name: str) -> bool:
        return name in self._parts

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)


def check_choice(what: str, value: object, choices: Iterable[str]) -> None:
    """Refuse a value that is none of the choices.

    Raises:
        ValueError: Lists the choices, the nearest apart.
    """
    names = list(choices)
    if value not in names:
        guess = did_you_mean(str(value), names)
        raise ValueError(f"{what} must be one of {', '.join(names)}; got {value!r}{guess}")


def did_you_mean(name: str, names: Iterable[str], dashes: str = "") -> str:
    """Return `` (did you mean ...?)`` with the nearest of the names, empty if none is near."""
    near = difflib.get_close_matches(name, list(names), n=1)
    return f" (did you mean {dashes}{near[0]}?)" if near else ""
