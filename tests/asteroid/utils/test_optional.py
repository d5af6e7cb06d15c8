"""Packages that are not installed are named with the command that installs them."""

import re
import sys
from pathlib import Path

import pytest

from asteroid.utils.optional import EXTRAS, needed_for

PROJECT = (Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("module", ["jinja2", "statsmodels.stats.multitest"])
def test_what_is_missing_is_named_with_its_command(module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModuleNotFoundError) as error, needed_for("this work"):
        __import__(module)
    package, extra = EXTRAS[module.split(".")[0]]
    command = f"pip install {package}, or 'seloss[{extra}]'"
    assert str(error.value) == f"this work needs {package}: {command}"


def test_other_modules_and_other_errors_are_not_renamed(monkeypatch):
    monkeypatch.setitem(sys.modules, "json.tool", None)
    with pytest.raises(ModuleNotFoundError, match="import of json"), needed_for("this work"):
        import json.tool  # noqa: F401
    with pytest.raises(OSError, match="broken"), needed_for("this work"):
        raise OSError("broken")


def test_every_package_is_in_the_extra_that_is_named():
    extras = PROJECT.split("[project.optional-dependencies]")[1].split("[project.scripts]")[0]
    for module, (packages, extra) in EXTRAS.items():
        (listed,) = re.findall(rf"^{extra} = \[(.*?)\]\s*(?:#.*)?$", extras, re.S | re.M)
        for package in packages.split():
            name = package.split("==")[0]
            assert re.search(rf'"{re.escape(name)}[=<>;"]', listed), (module, extra)
