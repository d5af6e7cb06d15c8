"""Locks of files and memory: where the system has them, and where it has not."""

import subprocess
import sys
from pathlib import Path

import pytest

from asteroid.utils import system
from asteroid.utils.system import lock_file, peak_memory_bytes

HOLD = """
import sys
from asteroid.utils.system import lock_file
file = open(sys.argv[1], "a+")
lock_file(file, shared="shared" in sys.argv, by_handle="by_handle" in sys.argv)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("by_handle", [False, True])
@pytest.mark.parametrize("shared", [False, True])
def test_a_lock_keeps_other_processes_out_until_the_holder_dies(tmp_path, shared, by_handle):
    path = tmp_path / "lock"
    words = [w for w, given in (("shared", shared), ("by_handle", by_handle)) if given]
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, path, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout.readline() == b"held\n"
    with path.open("a+") as file:
        with pytest.raises((BlockingIOError, PermissionError)):
            lock_file(file, by_handle=by_handle)
        if shared:
            assert lock_file(file, shared=True, by_handle=by_handle)
        holder.kill()
        holder.communicate()
        assert lock_file(file, by_handle=by_handle)


def test_a_system_without_locks_says_so_and_works(tmp_path, monkeypatch):
    monkeypatch.setattr(system, "fcntl", None)
    monkeypatch.setattr(system, "resource", None)
    with (tmp_path / "lock").open("a") as one, (tmp_path / "lock").open("a") as other:
        assert not lock_file(one, by_handle=True)
        assert not lock_file(other, by_handle=True)
    assert peak_memory_bytes() == 0


def test_memory_is_counted_in_bytes():
    before = peak_memory_bytes()
    assert 10**7 < before < 10**11
    kept = bytearray(before // 2)
    kept[::4096] = b"x" * len(kept[::4096])
    assert peak_memory_bytes() > before * 0.9
    del kept


def test_no_other_module_imports_what_windows_has_not():
    pattern = r"^[[:space:]]*(import|from) (fcntl|resource|pwd|grp|termios)( |$)"
    command = ["git", "grep", "-lE", pattern, "--", "src", "external_repo", "egs"]
    root = Path(__file__).parents[3]
    found = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert found.stdout.split() == ["external_repo/asteroid/asteroid/utils/system.py"]
