"""Other distributions that install packages of our names are found out."""

import sys

import pytest

from seloss.installation import PACKAGES, check_packages


def test_this_installation_is_whole():
    check_packages()


@pytest.mark.parametrize("name", PACKAGES)
def test_a_foreign_package_is_refused_with_the_commands_that_help(name, tmp_path, monkeypatch):
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("__version__ = '0.7.0'\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(ImportError) as error:
        check_packages()
    assert f"{tmp_path / name / '__init__.py'} belongs to another distribution" in str(error.value)
    assert f"pip uninstall {name}; pip install --force-reinstall" in str(error.value)


def test_a_package_that_is_gone_is_refused(monkeypatch):
    monkeypatch.setattr("seloss.installation.PACKAGES", ("auditus_not_there",))
    with pytest.raises(ImportError, match="but it is not there"):
        check_packages()
