"""Every benchmark at its smallest: it runs, and finds what it is for; one's end is not the others'.

Figures of such sizes mean nothing, so none is judged.
"""

from __future__ import annotations

import importlib
import math
import types

import pytest
import torch

import benchmarks.__main__ as together
from benchmarks.command import run_benchmark
from benchmarks.results import Result, read_lines
from tests.programs import run

#: Benchmark -> how many rows it finds at its smallest, and what a goal of it is called.
ROWS = {
    "losses": (4, "times its STFTs"),
    "fasnet": (4, "memory, ratio"),
    "models": (2, "memory, ratio"),
    "streaming": (4, "real-time factor"),
    "data": (4, "waiting, %,"),
    "mixing": (3, "s of audio a second"),
    "rooms": (2, "times its time"),
    "enhance": (2, "times the walk"),
    "evaluation": (1, "times the metrics' time"),
}
SLOW = {"streaming", "evaluation"}  # compile a network; start many processes


@pytest.fixture(autouse=True)
def _threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_all_benchmarks_are_known_here_and_share_ten_minutes():
    assert set(ROWS) == set(together.BENCHMARKS)
    assert sum(one.share_s for one in together.BENCHMARKS.values()) <= 600


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in ROWS]
)
def test_a_benchmark_finds_its_rows(name, tmp_path, capsys):
    module, path = importlib.import_module(f"benchmarks.{name}"), tmp_path / "found.jsonl"
    arguments = ["--quick", "--threads", "1", "--json", str(path)]
    add = getattr(module, "add_arguments", None)
    status = run_benchmark(module.rows, module.__doc__, add_arguments=add, arguments=arguments)
    result = Result(name, name, [])
    read_lines(path, result)
    count, goal = ROWS[name]
    assert status == 0
    assert len(result.rows) >= count
    assert result.about["quick"]
    assert result.about["pairs_per_s"] > 1e8
    assert any(one.what == goal for row in result.rows for one in row.goals)
    for row in result.rows:
        assert 0 < row.best <= row.seconds < math.inf
        assert row.case in capsys.readouterr().out if row is result.rows[0] else True
        assert all(math.isfinite(one.value) for one in row.goals)
        if row.limit is not None:
            assert row.limit.seconds > 0
        if row.anchor:
            assert row.anchor_seconds > 0
            assert row.faster > 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_nothing_is_started_for_one(capsys):
    assert together.main(["--device", "cuda", "--quick"]) == 2
    assert "--device cuda: PyTorch finds no GPU here" in capsys.readouterr().err


def test_one_that_takes_too_long_does_not_lose_the_others(tmp_path, monkeypatch, capfd):
    short = together.BENCHMARKS["losses"]._replace(share_s=0.2)
    monkeypatch.setitem(together.BENCHMARKS, "losses", short)
    page = tmp_path / "RESULTS.md"
    status = together.main(["--only", "losses", "rooms", "--quick", "--out", str(page)])
    text, errors = page.read_text(encoding="utf-8"), capfd.readouterr().err
    assert status == 1
    assert "Losses: stopped after 1 s" in errors
    assert "**Ended early: stopped after 1 s**" in text
    assert "`python -m benchmarks.rooms --threads 1 --quick`" in text
    assert "mixtures, binaural" in text
    assert list(tmp_path.iterdir()) == [page]


def test_one_that_raises_keeps_what_it_had_found(tmp_path, capsys):
    module = types.ModuleType("half")

    def rows(options):
        yield importlib.import_module("benchmarks.row").Row("first", 1.0, 1.0)
        raise RuntimeError("broken")

    path = tmp_path / "found.jsonl"
    arguments = ["--quick", "--threads", "1", "--json", str(path)]
    assert run_benchmark(rows, module.__doc__, arguments=arguments) == 1
    assert "error: broken" in capsys.readouterr().err
    result = Result("half", "Half", [])
    read_lines(path, result)
    assert [row.case for row in result.rows] == ["first"]


@pytest.mark.parametrize("module", ["benchmarks", "benchmarks.losses"])
def test_help_and_wrong_use(module):
    assert "--quick" in run("-m", module, "--help").stdout
    wrong = ["--only", "nothing"] if module == "benchmarks" else ["--threads=0"]
    refused = run("-m", module, *wrong, status=2)
    assert "--only" in refused.stderr or "--threads" in refused.stderr
