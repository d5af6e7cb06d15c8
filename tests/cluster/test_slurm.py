"""Our launchers on a real SLURM: two nodes, signals, kills, preemption."""

from __future__ import annotations

import json
import shlex
import sys
import time

import pytest
import torch

from tests.cluster.site import TINY_OPTIONS, Site

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

ODD = ["a b", "it's", 'say "hi"', "$HOME `id` \\ *", "été 日本", "", "line\nbreak", "--flag=x y"]
ECHO = "import json, os, sys; json.dump([sys.argv[1:], dict(os.environ)], open(sys.argv[1], 'w'))"


@pytest.fixture
def site(slurm, tmp_path):
    site = Site(slurm, tmp_path / "my site é")
    site.make_training_data()
    return site


@pytest.fixture(scope="module", autouse=True)
def overdue(slurm, tmp_path_factory):
    """A job that will run out of its minute while the other tests run, on the second node."""
    site = Site(slurm, tmp_path_factory.mktemp("overdue"), "options: [--nodelist=n2]\n")
    ignore = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(300)"
    done = site.submit("SLOW", "train", "python3", "-c", ignore, walltime="0:01:00")
    assert done.returncode == 0, done.stderr
    return site


def scancel(site: Site, *arguments: str) -> None:
    done = site.run("scancel", *arguments)
    assert done.returncode == 0, done.stderr


def test_two_nodes_stopped_and_queued_again_learn_what_one_process_learns(site, learning_curve):
    """The walltime's signal comes in the first epoch."""
    said = site.train("TWO", epochs=2, nodes="2")
    job = site.job("TWO")
    assert f"TWO: train is job {job} on here (slurm)" in said
    site.wait("the first steps", lambda: site.progress("TWO") > 0)
    assert "running" in site.status("TWO")
    scancel(site, "--batch", "--signal=USR1", job)
    assert "after step" in site.wait_for_state("TWO", "requeued", "finished")
    site.wait_for_state("TWO", "running", "finished", seconds=60)
    site.wait_for_state("TWO", "finished", "failed")

    log = (site.experiments / "TWO" / "logs" / f"train_{job}.log").read_text()
    assert "effective batch size 2: 1 per CPU process x 1 per node x 2 node(s)" in log
    assert "asked to stop" in log
    assert "resuming" in log
    assert "requeue.ckpt" in log
    assert "finished" in site.status("TWO")
    # float32 sums in another order, amplified by two epochs of training
    for ours, theirs in zip(site.history("TWO"), learning_curve, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3)
    assert (site.experiments / "TWO" / "best_model.pth").is_file()


def test_a_job_that_is_pushed_aside_goes_on_from_its_last_checkpoint(slurm, tmp_path):
    """A better job preempts it (SIGKILL, no warning); SLURM starts it again by itself."""
    site = Site(
        slurm, tmp_path / "site", "options: [--partition=besteffort, --nodelist=n1, --exclusive]\n"
    )
    site.make_training_data()
    site.train("POOR", "--checkpoint_minutes", "0.01", epochs=400, ranks="2")
    timed = site.experiments / "POOR" / "checkpoints" / "timed.ckpt"
    site.wait("a checkpoint inside an epoch", timed.is_file)
    rich = site.run(
        "sbatch", "-N2", "--exclusive", "--wait", "--wrap", "sleep 3", "-o", "/dev/null"
    )
    assert rich.returncode == 0, rich.stderr
    saved = int(torch.load(timed, weights_only=True)["global_step"])
    log = site.experiments / "POOR" / "logs" / f"train_{site.job('POOR')}.log"
    site.wait("the second start", lambda: "resuming" in log.read_text())
    first = site.progress("POOR")
    site.wait("further steps", lambda: site.progress("POOR") > first)
    assert site.progress("POOR") > saved
    scancel(site, site.job("POOR"))


def test_a_cancelled_job_stays_cancelled(site):
    job = site.submit_rising("GONE")
    again = site.submit("GONE", "train", "true")
    assert again.returncode == 2
    assert f"train is running already, as job {job}" in again.stderr
    scancel(site, job)
    site.wait(
        "the end", lambda: "JobState=CANCELLED" in site.run("scontrol", "show", "job", job).stdout
    )
    time.sleep(4)  # longer than a job that is queued again has to wait
    shown = site.run("scontrol", "show", "job", job).stdout
    assert "JobState=CANCELLED" in shown
    assert "Restarts=0" in shown
    status = site.status("GONE")
    assert "stopped" in status or "failed" in status


ASKED = """
import os, pathlib, signal, sys
os.kill(os.getppid(), signal.SIGUSR1)  # as SLURM does before the walltime's end
pathlib.Path(sys.argv[1], "REQUEUE").write_text("10 0")
"""


def test_a_job_that_slurm_does_not_queue_again_has_failed(slurm, tmp_path):
    site = Site(slurm, tmp_path / "site", "options: [--no-requeue]\n")
    folder = site.experiments / "NO"
    assert site.submit("NO", "train", "python3", "-c", ASKED, folder).returncode == 0
    assert "scontrol requeue" in site.wait_for_state("NO", "failed", "finished")


def test_a_job_that_others_put_into_the_queue_again_is_not_said_to_be_stopped(site):
    """SLURM ends it by SIGTERM; it starts again by itself."""
    code = "import os, sys, time; time.sleep(0 if 'SLURM_RESTART_COUNT' in os.environ else 99)"
    assert site.submit("AGAIN", "echo", "python3", "-c", code).returncode == 0
    site.wait_for_state("AGAIN", "running", name="echo")
    assert site.run("scontrol", "requeue", site.job("AGAIN", "echo")).returncode == 0
    assert "stopped" in site.wait_for_state("AGAIN", "stopped", name="echo")
    site.wait("the queue", lambda: "queued" in site.status("AGAIN"), seconds=30)
    site.wait_for_state("AGAIN", "finished", name="echo")


def test_a_job_whose_training_fails_says_why(site):
    site.train("WRONG", "--loss", "neg_sisdr", "--scale", "bark", epochs=1)
    site.wait_for_state("WRONG", "failed")
    status = site.status("WRONG")
    assert "failed" in status
    assert "scale must be one of linear, mel, critical; got 'bark'" in status


def test_arguments_arrive_as_they_were_given(site):
    out = str(site.folder / "echoed.json")
    script, run_dir = (
        'source "$0"; submit here 2 0:10:00 echo "$1" "${@:2}"',
        site.experiments / "ECHO",
    )
    words = ["python3", "-c", ECHO, out, *ODD]
    done = site.run("bash", "-c", script, site.root / "scripts/submit.sh", run_dir, *words)
    assert done.returncode == 0, done.stderr
    site.wait_for_state("ECHO", "finished", "failed", name="echo", seconds=60)
    arguments, environment = json.loads((site.folder / "echoed.json").read_text(encoding="utf-8"))
    assert arguments == [out, *ODD]
    assert environment["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert environment["SELOSS_EXPERIMENTS"] == str(site.experiments)


def test_tasks_of_srun_itself_train_together(site):
    """Without a launcher of ours or torchrun; a stop is asked for by hand."""
    folder = site.experiments / "SRUN"
    words = [site.root / "egs/TAC/train.py", "--exp_dir", folder, "--gpus", "0", "--epochs", "99"]
    data = [f"--{part}_json={site.folder / 'data' / part}.json" for part in ("train", "valid")]
    command = shlex.join(map(str, [sys.executable, *words, *data, *TINY_OPTIONS]))
    job = site.run(
        "sbatch", "--parsable", "-N2", "-o", site.folder / "srun.log", "--ntasks-per-node=1",
        "--wrap", f"srun --ntasks-per-node=1 {command}",
    ).stdout.strip()  # fmt: skip
    site.wait("the first steps", lambda: site.progress("SRUN") > 0)
    (folder / "STOP").touch()
    site.wait("the end", lambda: "COMPLETED" in site.run("scontrol", "show", "job", job).stdout)
    log = (site.folder / "srun.log").read_text()
    assert "effective batch size 2: 1 per CPU process x 1 per node x 2 node(s)" in log
    assert log.count("the same command resumes there") == 1
    assert (folder / "checkpoints" / "requeue.ckpt").is_file()


def test_what_a_dry_run_shows_is_what_slurm_takes(site):
    shown = site.script(
        "train/train_fasnet.sh", "--dry-run", "--nodes", "2", "DRY", "xp1", "here", "2", "48"
    )
    submission, _, script = shown.partition("\n\n")
    assert not (site.experiments / "DRY").exists()
    path = site.folder / "shown.sh"
    path.write_text(script.partition("\n")[2].partition("\n# ")[0], encoding="utf-8")
    words = [word for word in shlex.split(submission)[1:-1] if not word.startswith("--output")]
    done = site.run("sbatch", "--test-only", *words, path)
    assert done.returncode == 0, done.stderr
    assert "on nodes n[1-2]" in done.stderr


def test_what_slurm_refuses_is_said(slurm, tmp_path):
    site = Site(slurm, tmp_path / "site", "partition: nowhere\n")
    site.make_data("train", n_items=1, seconds=0.4)
    site.make_data("valid", n_items=1, seconds=0.4, seed=9)
    launcher = site.root / "scripts/train/train_fasnet.sh"
    done = site.run("bash", launcher, "NO", "xp1", "here", "0", "1")
    assert done.returncode == 1
    assert "train_fasnet.sh: error: sbatch failed with status 1" in done.stderr
    assert "partition" in done.stderr


def test_a_job_that_runs_out_of_time_says_so(overdue):
    """It was told to stop in time but does not listen."""
    job = overdue.job("SLOW")
    overdue.wait("the end", lambda: "TIMEOUT" in overdue.run("scontrol", "show", "job", job).stdout)
    assert "SLURM says TIMEOUT" in overdue.status("SLOW")
    assert "DUE TO TIME LIMIT" in overdue.status("SLOW")
