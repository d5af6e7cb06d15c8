import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "external_repo" / "asteroid"
sys.path.insert(0, str(ROOT / "assembly"))
import assemble as assembly  # noqa: E402
from edits import EDITS, Edit  # noqa: E402

UPSTREAM = {
    "asteroid/__init__.py": "version = 'upstream'\n",
    "asteroid/losses/sdr.py": "eps = 1e-8\nscale = 2\n",
    "asteroid/losses/mse.py": "def mse(): ...\n",
}
EDIT = Edit("asteroid/losses/sdr.py", "eps = 1e-8", "eps = EPS", "the argument was ignored")


def _wheel(folder, members=UPSTREAM, extra=()):
    path = folder / "asteroid-0.7.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**members, "asteroid-0.7.0.dist-info/METADATA": ""}.items():
            archive.writestr(name, content)
        for name in extra:
            archive.writestr(name, "import os")
    return path


@pytest.fixture
def wheel(tmp_path):
    return _wheel(tmp_path)


@pytest.fixture
def root(tmp_path):
    """A folder that holds one file of ours where upstream has one, and one where it has none."""
    root = tmp_path / "tree"
    (root / "asteroid" / "losses").mkdir(parents=True)
    (root / "asteroid" / "__init__.py").write_text("version = 'ours'\n")
    (root / "asteroid" / "losses" / "sdr_xp.py").write_text("ours = True\n")
    return root


def _content(root):
    return {
        str(path.relative_to(root)): path.read_text()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_upstream_is_unpacked_and_edited_around_our_files(root, wheel):
    written, kept = assembly.assemble(root, wheel, [EDIT])
    assert kept == ["asteroid/__init__.py"]
    assert written == ["asteroid/losses/mse.py", "asteroid/losses/sdr.py"]
    found = _content(root)
    assert found["asteroid/__init__.py"] == "version = 'ours'\n"
    assert found["asteroid/losses/sdr_xp.py"] == "ours = True\n"
    assert found["asteroid/losses/sdr.py"] == "eps = EPS\nscale = 2\n"


def test_gitignore_lists_the_upstream_files_and_none_of_ours(root, wheel):
    assembly.assemble(root, wheel, [EDIT])
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    shown = subprocess.run(
        ["git", "ls-files", "--others", "--exclude-standard"],
        cwd=root, check=True, capture_output=True, text=True,
    ).stdout.split()  # fmt: skip
    assert shown == ["asteroid/__init__.py", "asteroid/losses/sdr_xp.py"]


def test_assembling_twice_changes_nothing(root, wheel):
    assembly.assemble(root, wheel, [EDIT])
    before = _content(root)
    times = {path: (root / path).stat().st_mtime_ns for path in before if path[0] != "."}
    assembly.assemble(root, wheel, [EDIT])
    assert _content(root) == before
    assert {path: (root / path).stat().st_mtime_ns for path in times} == times


def test_a_changed_edit_replaces_what_the_old_one_wrote(root, wheel):
    assembly.assemble(root, wheel, [EDIT])
    assembly.assemble(root, wheel, [EDIT._replace(new="eps = 0")])
    assert (root / "asteroid/losses/sdr.py").read_text() == "eps = 0\nscale = 2\n"


def test_an_unpacked_file_that_git_tracks_by_now_is_ours(root, wheel):
    assembly.assemble(root, wheel, [EDIT])
    (root / "asteroid/losses/mse.py").write_text("rewritten = True\n")
    for command in (["init", "-q"], ["add", "-f", "asteroid/losses/mse.py"]):
        subprocess.run(["git", *command], cwd=root, check=True)
    _, kept = assembly.assemble(root, wheel, [EDIT])
    assert "asteroid/losses/mse.py" in kept
    assert "mse.py" not in (root / ".gitignore").read_text()
    assembly.clean(root)
    assert (root / "asteroid/losses/mse.py").read_text() == "rewritten = True\n"


def test_an_unpacked_file_changed_by_hand_stops_the_build_and_stays(root, wheel):
    assembly.assemble(root, wheel, [EDIT])
    (root / "asteroid/losses/mse.py").write_text("my change\n")
    with pytest.raises(assembly.AssemblyError, match=r"mse\.py was unpacked .* changed by hand"):
        assembly.assemble(root, wheel, [EDIT])
    assert (root / "asteroid/losses/mse.py").read_text() == "my change\n"


def test_clean_removes_what_was_unpacked_and_nothing_of_ours(root, wheel):
    before = _content(root)
    assembly.assemble(root, wheel, [EDIT])
    assembly.clean(root)
    assert _content(root) == before


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (EDIT._replace(old="eps = 1e-9"), "the argument was ignored.* matches 0 times"),
        (EDIT._replace(old=" = "), "matches 2 times, expected exactly once"),
        (EDIT._replace(path="asteroid/gone.py"), "upstream has no such file"),
        (
            EDIT._replace(path="asteroid/__init__.py", old="upstream"),
            "that file is ours; change it directly",
        ),
    ],
)
def test_an_edit_that_does_not_fit_stops_the_build_before_anything_is_written(
    root, wheel, edit, words
):
    before = _content(root)
    with pytest.raises(assembly.AssemblyError, match=words):
        assembly.assemble(root, wheel, [edit])
    assert _content(root) == before


@pytest.mark.parametrize(
    "member",
    ["evil.py", "../evil.py", "asteroid/../../evil.py", "/etc/evil.py", "asteroid\\..\\evil.py"],
)
def test_archive_members_outside_the_package_are_refused(root, tmp_path, member):
    before = _content(root)
    with pytest.raises(assembly.AssemblyError, match="expected nothing outside asteroid/"):
        assembly.assemble(root, _wheel(tmp_path, extra=[member]), [])
    assert _content(root) == before
    assert not (tmp_path / "evil.py").exists()


def test_a_tampered_wheel_is_refused_with_both_hashes(wheel, monkeypatch):
    monkeypatch.setenv(assembly.WHEEL_VARIABLE, str(wheel))
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    with pytest.raises(assembly.AssemblyError, match=rf"{found}, expected {assembly.WHEEL_SHA256}"):
        assembly.obtain_wheel(wheel.parent / "cache")


def test_a_tampered_wheel_in_the_cache_is_refused(wheel, monkeypatch):
    monkeypatch.delenv(assembly.WHEEL_VARIABLE, raising=False)
    with pytest.raises(assembly.AssemblyError, match="is not the pinned release"):
        assembly.obtain_wheel(wheel.parent)


def test_a_missing_wheel_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv(assembly.WHEEL_VARIABLE, str(tmp_path / "none.whl"))
    with pytest.raises(assembly.AssemblyError, match=r"none\.whl does not exist"):
        assembly.obtain_wheel(tmp_path)


def test_without_a_network_the_error_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.delenv(assembly.WHEEL_VARIABLE, raising=False)
    for name in ("PIP_CONFIG_FILE", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(assembly.AssemblyError) as error:
        assembly.obtain_wheel(tmp_path / "cache")
    assert "could not be downloaded" in str(error.value)
    assert f"set {assembly.WHEEL_VARIABLE} to the path" in str(error.value)
    assert not list((tmp_path / "cache").glob("*"))


def test_every_edit_of_the_project_is_in_the_installed_package():
    record = json.loads((ROOT / ".assembled.json").read_text())
    for edit in EDITS:
        assert edit.path in record
        assert edit.new in (ROOT / edit.path).read_text(encoding="utf-8"), edit


def test_the_command_line_explains_itself():
    command = [sys.executable, str(ROOT / "assembly" / "assemble.py"), "--help"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "--wheel" in done.stdout


def test_the_readme_says_why_each_edited_file_is_edited():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for edit in EDITS:
        assert f"`{edit.path.removeprefix('asteroid/')}`" in text, edit.path
