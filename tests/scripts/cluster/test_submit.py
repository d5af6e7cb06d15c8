"""What needs no scheduler: profiles, what would be submitted, what becomes of a job here."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SUBMIT = ROOT / "scripts" / "submit.sh"
PATIENCE_S = 300  # on a busy machine; nothing here takes long
ODD = ["a b", "it's", 'say "hi"', "$HOME `id` \\ *", "été 日本", "", "line\nbreak", "--flag=x y"]


@pytest.fixture
def place(tmp_path):
    """Experiments and profiles in a folder with a space."""
    (tmp_path / "my clusters").mkdir()
    return tmp_path


def profile(place: Path, text: str, name: str = "mine") -> None:
    (place / "my clusters" / f"{name}.yml").write_text(text, encoding="utf-8")


def environment(place: Path, **changes: str) -> dict[str, str]:
    return {
        **os.environ,
        "SELOSS_CLUSTERS": str(place / "my clusters"),
        "SELOSS_EXPERIMENTS": str(place / "my experiments"),
        "PYTHON": sys.executable,
        **changes,
    }


def submit(
    place: Path, *words: str, cluster="mine", gpus="0", walltime="1", **changes: str
) -> subprocess.CompletedProcess[str]:
    """Call the function that all launchers call."""
    script = 'source "$0"; submit "$1" "$2" "$3" train "$4" "${@:5}"'
    run_dir = str(place / "my experiments" / "XP")
    return subprocess.run(
        ["bash", "-c", script, str(SUBMIT), cluster, gpus, walltime, run_dir, *words],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        cwd=place,
        env=environment(place, **changes),
    )


def shown(place: Path, **options: str) -> tuple[list[str], str]:
    """Return the submission that a dry run shows, and the file it submits."""
    done = submit(place, "true", **{"DRY_RUN": "1", **options})
    assert done.returncode == 0, done.stderr
    submission, _, script = done.stdout.partition("\n\n")
    assert not (place / "my experiments").exists()
    return shlex.split(submission), script


def test_a_submission_to_slurm(place):
    profile(
        place,
        "scheduler: slurm\npartition: gpu\naccount: speech\ngpu_type: h100\nmemory: 32G\ncpus: 4\n"
        "grace: 90\nmodules: [cuda/12.4]\nenvironment: {NCCL_SOCKET_IFNAME: eth0}\n"
        'conda: {root: "/opt/my conda", name: se}\noptions: ["--exclude=n1,n2"]\n',
    )
    words, script = shown(place, gpus="2", walltime="36", NODES="3")
    log = place / "my experiments" / "XP" / "logs" / "train_%j.log"
    assert words[0] == "sbatch"
    assert set(words[1:-1]) == {
        "--parsable", "--job-name=XP.train", f"--output={log}", "--open-mode=append", "--nodes=3",
        "--ntasks-per-node=1", "--cpus-per-task=8", "--time=36:00:00", "--signal=B:USR1@90",
        "--requeue", "--gres=gpu:h100:2", "--partition=gpu", "--account=speech", "--mem=32G",
        "--exclude=n1,n2",
    }  # fmt: skip
    lines = script.splitlines()
    assert "module load cuda/12.4" in lines
    assert "source '/opt/my conda/etc/profile.d/conda.sh'" in lines
    assert "conda activate se" in lines
    assert "export NCCL_SOCKET_IFNAME=eth0" in lines
    assert f"cd -- '{place}'" in lines or f"cd -- {place}" in lines


def test_a_submission_to_oar(place):
    profile(
        place,
        "scheduler: oar\nqueue: production\naccount: speech\nproperty: \"gpu_model = 'H200'\"\n"
        "besteffort: true\ngrace: 120\noptions: [-t, night]\n",
    )
    words, _ = shown(place, gpus="2", walltime="36:30", NODES="2")
    assert words[:5] == ["oarsub", "-n", "XP.train", "-l", "host=2/gpu=2,walltime=36:30:00"]
    pairs = list(zip(words[5:-1:2], words[6:-1:2], strict=True))
    assert ("-p", "gpu_model = 'H200'") in pairs
    for pair in (("-t", "idempotent"), ("-t", "besteffort"), ("-t", "night"), ("--signal", "10")):
        assert pair in pairs
    assert ("--checkpoint", "120") in pairs
    assert ("-q", "production") in pairs
    assert shlex.split(words[-1])[0] == "bash"


def test_oar_without_gpus_counts_cores_and_a_profile_may_say_otherwise(place):
    profile(place, "scheduler: oar\ncpus: 3\n")
    assert "host=1/core=6,walltime=1:00:00" in shown(place, RANKS="2")[0]
    profile(place, "scheduler: oar\nresource: \"{cluster = 'x'}/nodes={nodes}/gpu={gpus}\"\n")
    assert "{cluster = 'x'}/nodes=1/gpu=4,walltime=1:00:00" in shown(place, gpus="4")[0]


def test_a_dash_is_what_the_profile_says(place):
    profile(place, 'scheduler: slurm\ngpus: 3\nnodes: 2\nwalltime: "5:30:00"\n')
    words, _ = shown(place, gpus="-", walltime="-")
    assert {"--gres=gpu:3", "--nodes=2", "--time=5:30:00"} <= set(words)


def test_the_grace_is_shorter_than_the_walltime(place):
    profile(place, "scheduler: slurm\ngrace: 300\n")
    assert "--signal=B:USR1@60" in shown(place, walltime="0:02:00")[0]


@pytest.mark.parametrize(
    ("commands", "scheduler"),
    [(["sbatch"], "slurm"), (["oarsub"], "oar"), (["sbatch", "oarsub"], "slurm"), ([], "local")],
)
def test_auto_finds_the_scheduler(place, commands, scheduler):
    (place / "bin").mkdir()
    for command in commands:
        (place / "bin" / command).touch(mode=0o755)  # only looked for
    code = "import profiles; print(profiles.resolve_scheduler(profiles.read_profile('auto')))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT / "scripts" / "cluster",
        env=environment(place, PATH=str(place / "bin")),
    )
    assert done.stdout.strip() == scheduler


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scheduler: pbs\n", "scheduler must be one of local, slurm, oar, auto; got 'pbs'"),
        ("partitoin: gpu\n", "key partitoin is unknown (did you mean partition?)"),
        ("gpus: two\n", "gpus must be int; got 'two'"),
        ("gpus: -1\n", "gpus must be at least 0; got -1"),
        ("grace: true\n", "grace must be int; got True"),
        ("modules: cuda\n", "modules must be a list; got 'cuda'"),
        ("partition: [a]\n", "partition must be one value; got ['a']"),
        ("conda: {root: /opt}\n", "conda must hold root and name; got ['root']"),
        ("environment: {a b: 1}\n", "'a b' is no name of a variable"),
        ("walltime: soon\n", "walltime must be hours or H:MM:SS; got 'soon'"),
        ("- a\n", "must hold 'key: value' lines; got list"),
        ("a: [\n", "is not YAML"),
        ("x: !!python/object/apply:os.system [id]\n", "is not YAML"),
    ],
)
def test_a_wrong_profile_is_refused(place, text, message):
    profile(place, text)
    done = submit(place, "true")
    assert done.returncode == 2
    assert message in done.stderr
    assert "mine.yml" in done.stderr or "walltime" in message


def test_an_unknown_cluster_names_the_known(place):
    profile(place, "scheduler: slurm\n")
    done = submit(place, "true", cluster="yours")
    assert done.returncode == 2
    assert "cluster must be one of auto, local, mine; got 'yours'" in done.stderr


@pytest.mark.parametrize("name", sorted(p.stem for p in (ROOT / "configs/clusters").glob("*.yml")))
def test_the_profiles_that_come_with_it_are_valid(place, name):
    clusters = str(ROOT / "configs" / "clusters")
    words, _ = shown(place, cluster=name, gpus="-", walltime="-", SELOSS_CLUSTERS=clusters)
    assert words[0] in ("sbatch", "oarsub")


def echo(place: Path) -> list[str]:
    code = "import json, sys; json.dump(sys.argv[2:], open(sys.argv[1], 'w'))"
    return [sys.executable, "-c", code, str(place / "echoed.json")]


def test_arguments_arrive_as_they_were_given(place):
    done = submit(place, *echo(place), *ODD, cluster="local")
    assert done.returncode == 0, done.stderr
    assert json.loads((place / "echoed.json").read_text(encoding="utf-8")) == ODD
    logs = place / "my experiments" / "XP" / "logs"
    assert (logs / "train.state").read_text().startswith("finished ")


PREEMPTED = """
import os, pathlib, signal, sys
folder, codes = pathlib.Path(sys.argv[1]), sys.argv[2].split(",")
count = folder / "count"
n = int(count.read_text()) if count.exists() else 0
count.write_text(str(n + 1))
if codes[n] == "75":
    if os.environ.get("ASKED") != "no":
        os.kill(os.getppid(), signal.SIGUSR1)  # the scheduler tells job.sh
    (folder / "REQUEUE").write_text(f"{10 * (n + 1)} {10 * n if len(sys.argv) < 4 else 99}\\n")
sys.exit(int(codes[n]))
"""


def preempted(place: Path, codes: str, *more: str) -> subprocess.CompletedProcess[str]:
    run_dir = place / "my experiments" / "XP"
    return submit(
        place, sys.executable, "-c", PREEMPTED, str(run_dir), codes, *more, cluster="local"
    )


def test_a_command_that_was_asked_to_stop_is_started_again(place):
    done = preempted(place, "75,75,0")
    assert done.returncode == 0, done.stderr
    assert (place / "my experiments" / "XP" / "count").read_text() == "3"
    assert "stopped after step 10" in done.stderr
    assert "stopped after step 20" in done.stderr


def test_one_that_somebody_stopped_by_a_file_is_not_started_again(place, monkeypatch):
    monkeypatch.setenv("ASKED", "no")
    done = preempted(place, "75,0")
    assert done.returncode == 75
    assert (place / "my experiments" / "XP" / "count").read_text() == "1"
    assert "after step 10" in status(place, "XP")


def test_one_that_makes_no_step_is_given_up(place):
    done = preempted(place, "75,75,0", "no step")
    assert done.returncode == 1
    assert "no step was made between two stops" in done.stderr
    assert (place / "my experiments" / "XP" / "count").read_text() == "1"


def test_a_failure_is_told_with_its_reason(place):
    code = "import sys; sys.exit('train.py: error: the disk is full')"
    done = submit(place, sys.executable, "-c", code, cluster="local")
    assert done.returncode == 1
    told = status(place, "XP")
    assert "failed" in told
    assert "train.py: error: the disk is full" in told


def status(place: Path, *tags: str) -> str:
    command = ["bash", str(ROOT / "scripts" / "status.sh"), *tags]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment(place)
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def running(place: Path, code: str) -> subprocess.Popen[str]:
    """Start a command on this machine and wait until it runs."""
    script = 'source "$0"; submit local 0 1 train "$1" "${@:2}"'
    run_dir = place / "my experiments" / "XP"
    process = subprocess.Popen(
        ["bash", "-c", script, str(SUBMIT), str(run_dir), sys.executable, "-c", code, str(run_dir)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(place),
        start_new_session=True,
    )
    deadline = time.monotonic() + PATIENCE_S
    while not (run_dir / "up").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process


WAITS = """
import pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[1])
(folder / "progress.json").write_text('{"epoch": 1, "epochs": 10, "batch": 5, "batches": 10, '
                                      '"step": 15, "time": %f}' % time.time())
(folder / "history.csv").write_text("epoch,lr,seconds\\n0,0.1,3600\\n")
(folder / "up").touch()
while not (folder / "STOP").exists():
    time.sleep(0.05)
(folder / "STOP").unlink()
"""


def test_the_schedulers_signal_becomes_a_file_that_training_sees(place):
    process = running(place, WAITS)
    told = status(place, "XP")
    assert "epoch 2 of 10, step 5 of 10, 3600 s an epoch, at most " in told
    assert re.search(r"most 8:(30|2\d) h to go", told)  # less what has passed since
    state = (place / "my experiments" / "XP" / "logs" / "train.state").read_text().split()
    os.kill(int(state[2]), signal.SIGUSR1)
    errors = process.communicate(timeout=PATIENCE_S)[1]
    assert process.returncode == 0, errors
    assert "asked to stop" in errors


def test_a_terminated_job_ends_its_command_and_is_not_started_again(place):
    process = running(place, WAITS)
    state = (place / "my experiments" / "XP" / "logs" / "train.state").read_text().split()
    os.kill(int(state[2]), signal.SIGTERM)
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 143
    assert "stopped" in status(place)


def test_a_killed_job_does_not_look_as_if_it_ran(place):
    process = running(place, WAITS)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=PATIENCE_S)
    assert "its process was killed" in status(place)


def test_a_dead_process_that_nobody_has_waited_for_does_not_look_as_if_it_ran(place):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)  # a zombie from here on
    logs = place / "my experiments" / "XP" / "logs"
    logs.mkdir(parents=True)
    state = f"running {int(time.time())} {dead.pid} on {socket.gethostname()}\n"
    (logs / "train.state").write_text(state)
    try:
        assert "its process was killed" in status(place)
    finally:
        dead.wait()


def test_nothing_submitted_is_said(place):
    (place / "my experiments" / "XP").mkdir(parents=True)
    assert "nothing was submitted" in status(place, "XP")


def test_the_scripts_pass_shellcheck():
    shellcheck = Path(sys.executable).with_name("shellcheck")
    scripts = [p for f in ("scripts", "tests/cluster") for p in (ROOT / f).rglob("*.sh")]
    done = subprocess.run(
        [shellcheck, "-x", *scripts], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout
