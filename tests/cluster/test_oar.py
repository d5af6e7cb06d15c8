"""Our launchers on a real OAR: two nodes, its signal and its way of starting again."""

from __future__ import annotations

import json
import sys

import pytest

from tests.cluster.site import Site

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

ODD = ["a b", "it's", 'say "hi"', "$HOME `id` \\ *", "été 日本", "", "--flag=x y"]
ECHO = "import json, os, sys; json.dump([sys.argv[1:], dict(os.environ)], open(sys.argv[1], 'w'))"


@pytest.fixture(scope="module")
def site(oar):
    site = Site(oar, oar.home / "my site é")
    site.make_training_data()
    return site


@pytest.fixture(scope="module")
def stopped(site):
    """A training on two nodes that OAR's signal has stopped in its first epoch."""
    site.train("TWO", epochs=2, nodes="2")
    site.wait("the first steps", lambda: site.progress("TWO") > 0)
    done = site.run("oardel", "-c", site.job("TWO"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "after step" in site.wait_for_state("TWO", "requeued")
    return site


def test_arguments_arrive_as_they_were_given(stopped):
    """Meanwhile: a job must have run for a minute before OAR starts it again."""
    site, out = stopped, str(stopped.folder / "echoed.json")
    script = 'source "$0"; submit here 2 0:10:00 echo "$1" "${@:2}"'
    run_dir = site.experiments / "ECHO"
    words = ["python3", "-c", ECHO, out, *ODD]
    done = site.run("bash", "-c", script, site.root / "scripts/submit.sh", run_dir, *words)
    assert done.returncode == 0, done.stderr
    state = site.wait_for_state("ECHO", "finished", "failed", name="echo")
    assert state.startswith("finished"), site.logs()
    arguments, environment = json.loads((site.folder / "echoed.json").read_text(encoding="utf-8"))
    assert arguments == [out, *ODD]
    assert environment["SELOSS_EXPERIMENTS"] == str(site.experiments)
    assert environment["OAR_JOB_NAME"] == "ECHO.echo"


def test_two_nodes_of_which_both_fail_end_the_job(stopped):
    """The processes on other nodes are OAR's own user's: the job cannot end them itself."""
    stopped.train("BAD", "--weights_type", "loud", epochs=1, nodes="2")
    state = stopped.wait_for_state("BAD", "failed")
    assert "status" in state
    log = stopped.experiments / "BAD" / "logs" / f"train_{stopped.job('BAD')}.log"
    text = log.read_text(encoding="utf-8")
    assert "got 'loud'" in text
    assert "PermissionError" not in text


ARRAY = """
import argparse, pathlib, sys
from seloss.cli.cluster.plan import Task
from seloss.cli.cluster.profile import make_request
from seloss.cli.cluster.submit import carry_out
root = pathlib.Path(sys.argv[1])
code = "import sys; print(sys.argv[1]); sys.exit(int(sys.argv[2]))"
command = [sys.executable, "-c", code, "été it's"]
tasks = [Task(str(root / f"ARRAY{i}"), "eval", [*command, str(i)]) for i in (0, 3)]
args = argparse.Namespace(cluster="here", gpus="0", walltime="1", nodes=1, ranks=1, parallel=0)
request = make_request(args, root / "ARRAY" / "logs", "eval", "ARRAY.eval")
carry_out(request, tasks, dry_run=False)
"""


def test_an_array_gives_each_task_its_own(stopped):
    """One task fails, the other does not."""
    site = stopped
    done = site.run(sys.executable, "-c", ARRAY, site.experiments)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("is job") == 2
    for status, kind in ((0, "finished"), (3, "failed")):
        tag = f"ARRAY{status}"
        state = site.wait_for_state(tag, "finished", "failed", name="eval")
        assert state.split()[0] == kind, site.logs()
        assert state.split()[2] == site.job(tag, "eval")
        log = site.experiments / "ARRAY" / "logs" / f"eval_{site.job(tag, 'eval')}.log"
        assert "été it's" in log.read_text(encoding="utf-8")
    assert "status 3" in site.status("ARRAY3")


def test_a_job_that_waits_keeps_its_command_when_others_get_its_name(stopped):
    """OAR reads the submitted file only when the job starts."""
    site = stopped
    (site.folder / "clusters" / "held.yml").write_text("scheduler: oar\noptions: [--hold]\n")
    words = ("python3", "-c", "import sys; open(sys.argv[1], 'a').write(sys.argv[2])")
    told = site.folder / "told"
    assert site.submit("WAITS", "echo", *words, told, "first ", cluster="held").returncode == 0
    job = site.job("WAITS", "echo")
    (site.experiments / "WAITS" / "logs" / "echo.jobs").unlink()  # else it is active
    assert site.submit("WAITS", "echo", *words, told, "second ").returncode == 0
    site.wait("the second", lambda: told.is_file() and told.read_text() == "second ")
    assert site.run("oarresume", job).returncode == 0
    site.wait("the first", lambda: told.read_text() == "second first ")


def test_a_folder_that_oar_cannot_log_to_gets_its_log(stopped):
    site, tag = stopped, "it's"
    done = site.submit(tag, "echo", "python3", "-c", "print('in the log')")
    assert done.returncode == 0, done.stderr
    site.wait_for_state(tag, "finished", name="echo")
    log = site.experiments / tag / "logs" / f"echo_{site.job(tag, 'echo')}.log"
    assert "in the log" in log.read_text()


def test_what_oar_refuses_is_said(site):
    profile = "scheduler: oar\nproperty: \"nothing = 'here'\"\n"
    (site.folder / "clusters" / "wrong.yml").write_text(profile, encoding="utf-8")
    launcher = site.root / "scripts/train/train_fasnet.sh"
    done = site.run("bash", launcher, "NO", "xp1", "wrong", "0", "1")
    assert done.returncode == 1
    assert "train_fasnet.sh: error: oarsub failed with status" in done.stderr
    assert not (site.experiments / "NO" / "logs" / "train.jobs").exists()


def test_a_deleted_job_is_not_started_again(stopped):
    site = stopped
    job = site.submit_rising("GONE")
    assert site.run("oardel", job).returncode == 0
    site.wait("the end", lambda: "failed" in site.status("GONE"))
    assert "OAR says Error" in site.status("GONE")
    assert site.run("oarstat", "-J", "--array", job).stdout.count('"Job_Id"') == 1


def test_two_nodes_stopped_and_started_again_learn_what_one_process_learns(stopped, learning_curve):
    site = stopped
    state = site.wait_for_state("TWO", "finished", "failed")
    assert state.startswith("finished"), site.logs()
    second = state.split()[2]
    assert second != site.job("TWO")  # OAR gives it a new number
    log = site.experiments / "TWO" / "logs" / f"train_{second}.log"
    assert "effective batch size 2: 1 per CPU process x 1 per node x 2 node(s)" in log.read_text()
    assert "resuming" in log.read_text()
    assert "finished" in site.status("TWO")
    # float32 sums in another order, amplified by two epochs of training
    for ours, theirs in zip(site.history("TWO"), learning_curve, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3)
