"""Job arrays on a real SLURM: a sweep from training to comparison, an evaluation in parts."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.cluster.site import TINY_OPTIONS, Site

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

SWEEP = """\
recipe: egs/TAC/train.py
evaluate: fasnet
stages: 1,2
options: {epochs: 1, %s}
runs:
  - {tag: "plain-s{seed}", loss: xp1, seed: [0, 1]}
  - {tag: "{scale}-s{seed}", loss: neg_sisdr, scale: [mel], seed: [0]}
"""
TAGS = ["plain-s0", "plain-s1", "mel-s0"]


@pytest.fixture(scope="module")
def site(slurm, tmp_path_factory):
    site = Site(slurm, tmp_path_factory.mktemp("sweep") / "my site", "grace: 30\n")
    site.make_data("train", n_items=4, n_mics=2, seconds=0.4)
    site.make_data("valid", n_items=2, seconds=0.4, seed=9)
    site.make_data("test", n_items=5, n_mics=1, seconds=0.4, seed=5)
    pairs = zip(TINY_OPTIONS[::2], TINY_OPTIONS[1::2], strict=True)
    options = ", ".join(f"{name[2:]}: {value}" for name, value in pairs)
    (site.folder / "tiny losses.yml").write_text(SWEEP % options, encoding="utf-8")
    return site


def sweep(site: Site, *options: str) -> str:
    return site.script("train/sweep.sh", *options, "tiny losses.yml", "here", "0", "0:10:00")


@pytest.fixture(scope="module")
def swept(site):
    """A sweep of three trainings of which one fails, and what the second call submits."""
    shown = sweep(site, "--dry-run")
    assert "--array=1-3%2" not in shown
    assert "--array=1-3" in shown
    first = sweep(site)
    assert first.count("is job") == 3
    array = site.job("plain-s0").partition("_")[0]
    assert [site.job(tag) for tag in TAGS] == [f"{array}_{i}" for i in range(1, 4)]
    site.run("scancel", site.job("mel-s0"))
    for tag in TAGS[:2]:
        assert site.wait_for_state(tag, "finished", "failed").startswith("finished")
    site.wait(
        "the cancelled one's end",
        lambda: "failed" in site.status("mel-s0") or "stopped" in site.status("mel-s0"),
    )
    second = sweep(site, "--parallel", "2")
    assert second.count("is job") == 1
    assert "mel-s0: train is job" in second
    site.wait_for_state("mel-s0", "finished", "failed")
    site.wait("the last model", lambda: (site.experiments / "mel-s0" / "best_model.pth").is_file())
    return site


def test_a_sweep_submits_what_is_missing_and_ends_in_one_comparison(swept):
    site = swept
    assert "is job" not in sweep(site)  # all are finished
    evaluated = sweep(site, "--stage", "evaluate")
    assert evaluated.count("eval_test is job") == 3
    for tag in TAGS:
        assert site.wait_for_state(tag, "finished", "failed", name="eval_test").startswith(
            "finished"
        ), site.logs()
    sweep(site, "--stage", "compare")
    means = pd.read_csv(
        next((site.experiments / "sweep-tiny losses" / "comparison").rglob("means.csv"))
    )
    assert {"plain", "mel"} <= set(means["system"])
    differences = next(
        (site.experiments / "sweep-tiny losses" / "comparison").rglob("differences.csv")
    )
    assert any("ci" in name or "low" in name for name in pd.read_csv(differences).columns)
    seeds = [
        json.loads((site.experiments / tag / "environment.json").read_text())["seed"]
        for tag in TAGS
    ]
    assert seeds == [0, 1, 0]


def tables(site: Site, tag: str, testset: str) -> dict[str, bytes]:
    return {
        p.name: p.read_bytes() for p in (site.experiments / tag / testset / "metrics").glob("*.csv")
    }


def test_parts_of_an_evaluation_make_the_tables_of_one_process(swept):
    """Part 2 is cancelled; the same command again submits it alone, and it joins all."""
    site, tag = swept, "plain-s0"
    test = site.folder / "data" / "test.json"
    for name in ("parts", "whole"):
        (test.parent / f"{name}.json").write_bytes(test.read_bytes())
    parts, whole = (test.parent / f"{name}.json" for name in ("parts", "whole"))
    options = ("--jobs", "0", "--metrics", "si_sdr pesq_wb")  # no further processes
    held = "scheduler: slurm\ncpus: 1\noptions: [--hold]\n"
    (site.folder / "clusters" / "held.yml").write_text(held, encoding="utf-8")

    def evaluate(cluster: str, manifest: Path) -> str:
        words = ("--shards", "2", tag, "1,2", "0:10:00", cluster, manifest, "--", *options)
        return site.script("evaluate/evaluate_fasnet_job.sh", *words)

    assert evaluate("held", parts).count("is job") == 2
    first, second = (site.job(tag, f"eval_parts_{i}_of_2") for i in (1, 2))
    site.run("scancel", second)
    site.run("scontrol", "release", first)
    state = site.wait_for_state(tag, "finished", "failed", name="eval_parts_1_of_2")
    assert state.startswith("finished"), site.logs()
    assert not tables(site, tag, "parts")

    again = evaluate("here", parts)
    assert again.count("is job") == 1
    assert "eval_parts_2_of_2 is job" in again
    state = site.wait_for_state(tag, "finished", "failed", name="eval_parts_2_of_2")
    assert state.startswith("finished"), site.logs()

    alone = site.script("evaluate/evaluate_fasnet.sh", *options, "1,2", tag, whole)
    assert alone is not None
    assert tables(site, tag, "parts") == tables(site, tag, "whole")
    assert len(tables(site, tag, "parts")["metrics_by_sample.csv"].splitlines()) == 6
