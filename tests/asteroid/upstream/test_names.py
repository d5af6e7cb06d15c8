"""The names of upstream's packages: all of them resolve, and none of ours is lost among them."""

from __future__ import annotations

import ast
import json
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

import asteroid
from asteroid import models
from asteroid.models import CNUNet, DCUnet, register_model
from tests.programs import run

PROJECT = Path(__file__).parents[3]
RECIPES, MODIFIED = PROJECT / "egs", PROJECT / "external_repo" / "asteroid"
sys.path.insert(0, str(MODIFIED / "assembly"))
from assemble import obtain_wheel  # noqa: E402


def public_names(source: str) -> set[str]:
    """What an ``__init__`` offers: what it defines, what it takes from its package, ``__all__``."""
    names = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom) and node.level:
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {each.id for each in node.targets if isinstance(each, ast.Name)}
            if getattr(node.targets[0], "id", "") == "__all__":
                names |= set(ast.literal_eval(node.value))
    return names


def upstream_packages() -> dict[str, list[str]]:
    """Every package of the pristine wheel with its public names."""
    packages = {}
    with zipfile.ZipFile(obtain_wheel(MODIFIED / ".cache")) as wheel:
        for path in wheel.namelist():
            if path.endswith("/__init__.py"):
                names = public_names(wheel.read(path).decode())
                packages[path.removesuffix("/__init__.py").replace("/", ".")] = sorted(names)
    return packages


PACKAGES = upstream_packages()


def test_the_pristine_wheel_was_read():
    assert {"asteroid", "asteroid.dsp", "asteroid.losses", "asteroid.models"} <= set(PACKAGES)
    assert {"torch_utils", "deprecation_utils", "ConvTasNet"} <= set(PACKAGES["asteroid"])
    assert sum(map(len, PACKAGES.values())) > 90


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_of_upstream_resolves_in_a_fresh_interpreter(package):
    """Not in this one, where other tests have imported submodules already."""
    program = (
        "import sys, json, importlib; package, *names = json.loads(sys.argv[1]);"
        "module = importlib.import_module(package);"
        "print([name for name in names if not hasattr(module, name)])"
    )
    argument = json.dumps([package, *PACKAGES[package]])
    assert run("-c", program, argument).stdout.strip() == "[]"


def test_modules_of_the_bare_package_can_be_taken_from_it():
    from asteroid import deprecation_utils, torch_utils

    assert torch_utils.pad_x_to_y
    assert deprecation_utils.mark_deprecated
    assert "show_available_models" in asteroid.__all__


def networks_of_recipes() -> set[str]:
    files = RECIPES.glob("*/conf.yml")
    return {
        yaml.safe_load(file.read_text(encoding="utf-8"))["network"].split(":")[1] for file in files
    }


OURS = ("cnunet", "dccrn", "deep_complex_unet", "fasnet", "nunet")


def test_every_network_that_a_recipe_names_is_ours_by_its_name_too():
    names = networks_of_recipes()
    assert len(names) >= 4
    for spelling in names | {name.lower() for name in names}:
        assert models.get(spelling).__module__.split(".")[-1] in OURS, spelling


@pytest.mark.parametrize("name", ["DCUNet", "DCCRNet"])
def test_upstreams_networks_keep_their_own_spelling(name):
    assert models.get(name).__module__ == f"asteroid.models.{name.lower()}"
    assert models.get("DCUnet") is DCUnet is not models.DCUNet


def test_a_network_is_registered_once():
    with pytest.raises(ValueError, match="CNUNet already exists"):
        register_model(CNUNet)
