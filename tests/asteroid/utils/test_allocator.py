"""That freed memory is reused, counted by the pages that the system has to hand out."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys

import pytest

from asteroid.utils import allocator
from seloss.train import EnhancementSystem
from tests.seloss.train import tiny

# In a process of its own, because it cannot be undone.
PROGRAM = """
import ctypes, resource, runpy, sys

if sys.argv[1] == "keep":
    assert runpy.run_path(sys.argv[2])["keep_freed_memory"]()
size, libc = int(sys.argv[3]), ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        block = libc.malloc(size)
        ctypes.memset(block, 1, 64_000_000)
        libc.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
print(faults() * resource.getpagesize())
"""


def bytes_handed_out(how, size):
    command = [sys.executable, "-c", PROGRAM, how, allocator.__file__, str(size)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")
@pytest.mark.parametrize("size", [64_000_000, 2_500_000_000])  # more than an int can say
def test_the_same_tensor_again_asks_the_system_for_nothing(size):
    assert bytes_handed_out("keep", size) < 64e6
    assert bytes_handed_out("leave", size) > 5 * 64e6


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert allocator.keep_freed_memory() is False


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")
def test_training_on_a_cpu_keeps_it(tmp_path):
    system = EnhancementSystem(tiny.TinyNet(), tiny.SquaredError())
    trainer, _, _ = tiny.trainer(tmp_path, epochs=1)
    trainer.fit(system, tiny.loader(tiny.items(2)), tiny.loader(tiny.items(1)))
    block = bytes(100_000_000)  # zeros of their own, which take no page before they are written to
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        block = b"1" * len(block)
    taken = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert taken * resource.getpagesize() < 3 * len(block)
