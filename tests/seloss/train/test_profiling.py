from __future__ import annotations

import gzip
import json
import logging
import re
import time
from types import SimpleNamespace

import pytest
from torch.utils.data import DataLoader

from seloss.data.formats.batch import collate
from seloss.train.callbacks.profile_summary import (
    PHASES,
    Operators,
    Setting,
    StepTimes,
    read_operators,
    summarise,
)
from seloss.train.callbacks.profiler import SUMMARY_FILE, TRACE_FILE
from tests.seloss.train import tiny

SLEEP_S = 0.1


class SlowError(tiny.SquaredError):
    def forward(self, est_targets, targets, lengths):
        time.sleep(SLEEP_S)
        return super().forward(est_targets, targets, lengths)


def slow_collate(items):
    time.sleep(SLEEP_S)
    return collate(items)


def fit(folder, caplog, *, loss=None, reader=collate, n_items=6, epochs=4, **options):
    caplog.set_level(logging.INFO)
    train = DataLoader(tiny.items(n_items), 2, collate_fn=reader)
    options |= {"loss": loss, "train": train, "n_valid": 1, "num_workers": 0}
    return tiny.fit(folder, epochs=epochs, **options).system


def shares(folder) -> dict[str, float]:
    lines = (folder / "profile" / SUMMARY_FILE).read_text().splitlines()
    assert len(lines) == 10
    shares = {line[2:12].strip(): float(line.split()[-2]) for line in lines[1:7]}
    assert list(shares) == list(PHASES)
    assert sum(shares.values()) == pytest.approx(100, abs=0.5)
    return shares


def test_a_profiled_run_learns_the_same_and_leaves_trace_and_summary(tmp_path, caplog):
    """4 epochs of 3 steps: what is between two epochs must not count."""
    plain = fit(tmp_path / "plain", caplog)
    profiled = fit(tmp_path / "profiled", caplog, profile=True)
    tiny.assert_same(plain, profiled)
    assert not (tmp_path / "plain" / "profile").exists()
    shares(tmp_path / "profiled")
    with gzip.open(tmp_path / "profiled" / "profile" / TRACE_FILE, "rt") as file:
        names = {event.get("name") for event in json.load(file)["traceEvents"]}
    for phase in ("data wait", "forward", "loss", "backward", "optimiser"):
        assert f"step: {phase}" in names
    assert any("conv" in str(name) for name in names)
    assert "ui.perfetto.dev" in caplog.text
    first = (tmp_path / "profiled" / "profile" / SUMMARY_FILE).read_text().splitlines()[0]
    assert "mean of 5 steps after 3 of warm-up, cpu" in first


def test_time_is_put_down_to_the_phase_that_takes_it(tmp_path, caplog):
    fit(tmp_path / "loss", caplog, loss=SlowError(), profile=True)
    assert shares(tmp_path / "loss")["loss"] > 40
    fit(tmp_path / "data", caplog, reader=slow_collate, profile=True)
    assert shares(tmp_path / "data")["data wait"] > 40
    summary = (tmp_path / "data" / "profile" / SUMMARY_FILE).read_text()
    assert "it waits for data" in summary
    assert "--num_workers (none now)" in summary


def test_a_run_that_is_too_short_says_so(tmp_path, caplog):
    fit(tmp_path / "none", caplog, n_items=2, epochs=3, profile=True)
    assert "training ended before step 4, the first measured" in caplog.text
    assert not (tmp_path / "none" / "profile" / SUMMARY_FILE).exists()
    fit(tmp_path / "some", caplog, n_items=2, epochs=5, profile=True)
    lines = (tmp_path / "some" / "profile" / SUMMARY_FILE).read_text().splitlines()
    assert "mean of 2 steps" in lines[0]
    assert lines[7] == "top operators: not traced, training ended before"


def seconds(**others: float) -> dict[str, float]:
    return {phase: others.get(phase.replace(" ", "_"), 0.0) for phase in PHASES}


def row(name, cpu=0.0, device=0.0, kind="CPU", annotation=False):
    return SimpleNamespace(
        key=name,
        self_cpu_time_total=cpu,
        self_device_time_total=device,
        device_type=SimpleNamespace(name=kind),
        is_user_annotation=annotation,
    )


def test_kernels_of_a_gpu_count_once_and_for_its_operators():
    rows = [
        row("aten::mm", cpu=10, device=600_000),
        row("sgemm", device=600_000, kind="CUDA"),
        row("step: forward", cpu=5, device=900_000, kind="CUDA", annotation=True),
    ]
    assert read_operators(rows, 1.0, "cuda") == Operators({"aten::mm": 0.6}, 0.6)
    assert read_operators(rows, 1.0, "cpu") == Operators({"aten::mm": 1e-5}, None)


@pytest.mark.parametrize(
    ("times", "processor_s", "gpu_share", "expected"),
    [
        (seconds(forward=0.3, backward=0.7), 0.5, 0.6, "the processor, while the GPU is idle 40 %"),
        (seconds(forward=0.3, backward=0.7), 0.5, 0.9, "nothing but its own .* backward \\(70 %"),
        (seconds(data_wait=0.1, forward=0.9), 0.5, 0.9, "data, 10 % of its time.*\\(4 now\\)"),
        (seconds(forward=1.0), 0.4, None, "the processor, which computes for it 40 % of the time"),
        (seconds(forward=1.0), 1.9, None, "nothing but its own computation, .* forward \\(100 %"),
    ],
)
def test_what_it_waits_for(times, processor_s, gpu_share, expected):
    clock = StepTimes(times, steps=1, processor_s=processor_s)
    operators = Operators({"aten::mm": 1.0}, gpu_share)
    device = "cpu" if gpu_share is None else "cuda"
    lines = summarise(clock, operators, Setting(device, 2, 8, 4, 2**30))
    assert len(lines) == 10
    assert "(8.00 mixtures/s)" in lines[0]
    assert "1.00 GiB" in lines[8]
    assert re.search(expected, lines[9])
