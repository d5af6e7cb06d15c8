"""Profiles, submissions as a dry run shows them, and jobs on this machine: no scheduler needed."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seloss.cli.cluster.profile import read_profile, resolve_scheduler

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 300  # on a busy machine; nothing here takes long
ODD = [
    "a b",
    "it's",
    'say "hi"',
    "$HOME `id` \\ *",
    "été 日本",
    "",
    "line\nbreak",
    "--",
    "--flag=x y",
]
PROGRAM = [sys.executable, "-m", "seloss.cli.cluster.submit"]


@pytest.fixture
def place(folder) -> Path:
    return folder


def profile(place: Path, text: str) -> None:
    (place / "clusters" / "mine.yml").write_text(text, encoding="utf-8")


def words_of(
    place: Path, *command: object, cluster: str = "mine", gpus: str = "0", walltime: str = "1"
) -> list[str]:
    words = ["--cluster", cluster, f"--gpus={gpus}", "--walltime", walltime, "--name", "train"]
    words += ["--run-dir", str(place / "experiments" / "XP"), "--"]
    return [*words, *map(str, command)]


def submit(place: Path, *command: object) -> subprocess.CompletedProcess[str]:
    """Run a command here, as all launchers do."""
    return subprocess.run(
        [*PROGRAM, *words_of(place, *command, cluster="local")],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@pytest.fixture
def shown(launch, place):
    """Return the submission that a dry run shows, and the file it submits."""

    def shown(*options: str, **place_words: str) -> tuple[list[str], str]:
        done = launch("submit", "--dry-run", *options, *words_of(place, "true", **place_words))
        assert done.returncode == 0, done.stderr
        submission, _, script = done.stdout.partition("\n\n")
        assert not (place / "experiments").exists()
        return shlex.split(submission), script

    return shown


def test_a_submission_to_slurm(place, shown):
    profile(
        place,
        "scheduler: slurm\npartition: gpu\naccount: speech\ngpu_type: h100\nmemory: 32G\ncpus: 4\n"
        "grace: 90\nmodules: [cuda/12.4]\nenvironment: {NCCL_SOCKET_IFNAME: eth0}\n"
        'conda: {root: "/opt/my conda", name: se}\noptions: ["--exclude=n1,n2"]\n',
    )
    words, script = shown("--nodes", "3", gpus="2", walltime="36")
    log = place / "experiments" / "XP" / "logs" / "train_%j.log"
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


def test_a_submission_to_oar(place, shown):
    profile(
        place,
        "scheduler: oar\nqueue: production\naccount: speech\nproperty: \"gpu_model = 'H200'\"\n"
        "besteffort: true\ngrace: 120\noptions: [-t, night]\n",
    )
    words, _ = shown("--nodes", "2", gpus="2", walltime="36:30")
    assert words[:5] == ["oarsub", "-n", "XP.train", "-l", "host=2/gpu=2,walltime=36:30:00"]
    pairs = list(zip(words[5:-1:2], words[6:-1:2], strict=True))
    assert ("-p", "gpu_model = 'H200'") in pairs
    for pair in (("-t", "idempotent"), ("-t", "besteffort"), ("-t", "night"), ("--signal", "10")):
        assert pair in pairs
    assert ("--checkpoint", "120") in pairs
    assert ("-q", "production") in pairs
    log = "train_%jobid%.log"
    assert {("-d", str(place / "experiments/XP/logs")), ("-O", log), ("-E", log)} <= set(pairs)
    assert shlex.split(words[-1])[0] == "bash"


@pytest.mark.parametrize(("tag", "name"), [("it's", "train"), ("XP", "evàl")])
def test_what_oar_cannot_name_is_opened_by_the_job(place, launch, tag, name):
    profile(place, "scheduler: oar\n")
    run_dir = place / "experiments" / tag
    words = ["--dry-run", "--cluster", "mine", "--name", name, "--run-dir", run_dir, "--", "true"]
    text = launch("submit", *words).stdout
    assert "-d / -O /dev/null -E /dev/null" in text
    log = shlex.quote(str(run_dir / "logs" / name))
    assert f'exec >>{log}_"$OAR_JOB_ID.log"' in text


def test_other_content_is_another_file(place, launch, shown, monkeypatch):
    """A job that waits finds its own; the same submission is the same file."""
    profile(place, "scheduler: slurm\n")
    paths = [shown()[0][-1], shown()[0][-1]]
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    paths.append(shown()[0][-1])
    done = launch("submit", "--dry-run", *words_of(place, "false"))
    paths.append(shlex.split(done.stdout.partition("\n\n")[0])[-1])
    assert paths[0] == paths[1]
    assert len(set(paths)) == 3
    assert re.fullmatch(r"train_[0-9a-f]{8}\.sh", Path(paths[0]).name)


def test_oar_without_gpus_counts_cores_and_a_profile_may_say_otherwise(place, shown):
    profile(place, "scheduler: oar\ncpus: 3\n")
    assert "host=1/core=6,walltime=1:00:00" in shown("--ranks", "2")[0]
    profile(place, "scheduler: oar\nresource: \"{cluster = 'x'}/nodes={nodes}/gpu={gpus}\"\n")
    assert "{cluster = 'x'}/nodes=1/gpu=4,walltime=1:00:00" in shown(gpus="4")[0]


def test_a_dash_is_what_the_profile_says(place, shown):
    profile(place, 'scheduler: slurm\ngpus: 3\nnodes: 2\nwalltime: "5:30:00"\n')
    words, _ = shown(gpus="-", walltime="-")
    assert {"--gres=gpu:3", "--nodes=2", "--time=5:30:00"} <= set(words)


def test_the_grace_is_shorter_than_the_walltime(place, shown):
    profile(place, "scheduler: slurm\ngrace: 300\n")
    assert "--signal=B:USR1@60" in shown(walltime="0:02:00")[0]


@pytest.mark.parametrize(
    ("commands", "scheduler"),
    [(["sbatch"], "slurm"), (["oarsub"], "oar"), (["sbatch", "oarsub"], "slurm"), ([], "local")],
)
def test_auto_finds_the_scheduler(place, monkeypatch, commands, scheduler):
    (place / "bin").mkdir()
    for command in commands:
        (place / "bin" / command).touch(mode=0o755)  # only looked for
    monkeypatch.setenv("PATH", str(place / "bin"))
    assert resolve_scheduler(read_profile("auto")) == scheduler


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scheduler: pbs\n", "scheduler: must be one of local, slurm, oar, auto; got pbs"),
        ("partitoin: gpu\n", "key partitoin is unknown (did you mean partition?)"),
        ("gpus: two\n", "gpus: expected int; got two"),
        ("gpus: -1\n", "gpus must be at least 0; got -1"),
        ("grace: true\n", "grace: expected int; got True"),
        ("modules: cuda\n", "modules: expected a list such as a,b; got cuda"),
        ("partition: [a]\n", "partition: expected str or null; got ['a']"),
        ("conda: {root: /opt}\n", "conda must hold root and name; got ['root']"),
        ("environment: {a b: 1}\n", "'a b' is no name of a variable"),
        ("walltime: soon\n", "walltime must be hours or H:MM:SS; got 'soon'"),
        ("- a\n", "must hold 'key: value' lines; got list"),
        ("a: [\n", "is not YAML"),
        ("x: !!python/object/apply:os.system [id]\n", "is not YAML"),
    ],
)
def test_a_wrong_profile_is_refused(place, launch, text, message):
    profile(place, text)
    done = launch("submit", *words_of(place, "true"))
    assert done.returncode == 2
    assert message in done.stderr
    assert "mine.yml" in done.stderr


def test_an_unknown_cluster_names_those_there_are(place, launch):
    profile(place, "scheduler: slurm\n")
    done = launch("submit", *words_of(place, "true", cluster="yours"))
    assert done.returncode == 2
    assert "cluster must be one of auto, local, mine; got 'yours'" in done.stderr


@pytest.mark.parametrize("name", sorted(p.stem for p in (ROOT / "configs/clusters").glob("*.yml")))
def test_the_profiles_that_come_with_it_are_valid(shown, monkeypatch, name):
    monkeypatch.setenv("SELOSS_CLUSTERS", str(ROOT / "configs" / "clusters"))
    words, _ = shown(cluster=name, gpus="-", walltime="-")
    assert words[0] in ("sbatch", "oarsub")


def test_arguments_arrive_as_they_were_given(place):
    code = "import json, sys; json.dump(sys.argv[2:], open(sys.argv[1], 'w')); print('été')"
    done = submit(place, sys.executable, "-c", code, place / "echoed.json", *ODD)
    assert done.returncode == 0, done.stderr
    assert json.loads((place / "echoed.json").read_text(encoding="utf-8")) == ODD
    logs = place / "experiments" / "XP" / "logs"
    assert (logs / "train.state").read_text().startswith("finished ")
    assert done.stdout == (logs / "train.log").read_text(encoding="utf-8") == "été\n"


def test_both_streams_keep_their_way_and_reach_the_log(place):
    done = submit(place, "sh", "-c", "echo out; echo err >&2; exec 1>&- 2>&-; sleep 0.2; exit 3")
    assert (done.stdout, done.returncode) == ("out\n", 3)
    assert done.stderr.startswith("err\n")
    log = (place / "experiments" / "XP" / "logs" / "train.log").read_text(encoding="utf-8")
    assert {"out", "err"} <= set(log.split())
    assert "failed: status 3" in log


def test_a_command_that_is_not_there_has_failed(place):
    done = submit(place, place / "nowhere")
    assert done.returncode == 127
    assert f"No such file or directory: '{place / 'nowhere'}'" in done.stderr
    assert "status 127" in status(place, "XP")


PREEMPTED = """
import os, pathlib, signal, sys
folder, codes = pathlib.Path(sys.argv[1]), sys.argv[2].split(",")
count = folder / "count"
n = int(count.read_text()) if count.exists() else 0
count.write_text(str(n + 1))
if codes[n] == "75":
    if os.environ.get("ASKED") != "no":
        os.kill(os.getppid(), signal.SIGUSR1)  # the scheduler tells job.py
    (folder / "REQUEUE").write_text(f"{10 * (n + 1)} {10 * n if len(sys.argv) < 4 else 99}\\n")
sys.exit(int(codes[n]))
"""


def preempted(place: Path, codes: str, *more: str) -> subprocess.CompletedProcess[str]:
    run_dir = place / "experiments" / "XP"
    return submit(place, sys.executable, "-c", PREEMPTED, run_dir, codes, *more)


def test_a_command_that_was_asked_to_stop_is_started_again(place):
    done = preempted(place, "75,75,0")
    assert done.returncode == 0, done.stderr
    assert (place / "experiments" / "XP" / "count").read_text() == "3"
    assert "stopped after step 10" in done.stderr
    assert "stopped after step 20" in done.stderr


def test_one_that_somebody_stopped_by_a_file_is_not_started_again(place, monkeypatch):
    monkeypatch.setenv("ASKED", "no")
    done = preempted(place, "75,0")
    assert done.returncode == 75
    assert (place / "experiments" / "XP" / "count").read_text() == "1"
    assert "after step 10" in status(place, "XP")


def test_one_that_makes_no_step_is_given_up(place):
    done = preempted(place, "75,75,0", "no step")
    assert done.returncode == 1
    assert "no step was made between two stops" in done.stderr
    assert (place / "experiments" / "XP" / "count").read_text() == "1"


def test_a_failure_is_told_with_its_reason(place):
    code = "import sys; sys.exit('train.py: error: the disk is full')"
    done = submit(place, sys.executable, "-c", code)
    assert done.returncode == 1
    told = status(place, "XP")
    assert "failed" in told
    assert "train.py: error: the disk is full" in told


def status(place: Path, *tags: str) -> str:
    command = ["bash", str(ROOT / "scripts" / "status.sh"), *tags]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def running(place: Path, code: str) -> subprocess.Popen[str]:
    """Start a command on this machine and wait until it runs."""
    run_dir = place / "experiments" / "XP"
    process = subprocess.Popen(
        [*PROGRAM, *words_of(place, sys.executable, "-c", code, run_dir, cluster="local")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
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
    text = status(place, "XP")
    assert "epoch 2 of 10, step 5 of 10, 3600 s an epoch, at most " in text
    assert re.search(r"most 8:(30|2\d) h to go", text)  # less what has passed since
    os.kill(process.pid, signal.SIGUSR1)
    errors = process.communicate(timeout=PATIENCE_S)[1]
    assert process.returncode == 0, errors
    assert "asked to stop" in errors


def test_a_terminated_job_ends_its_command_and_is_not_started_again(place):
    process = running(place, WAITS)
    os.kill(process.pid, signal.SIGTERM)
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 143
    assert "stopped" in status(place)


def test_what_a_command_says_at_control_c_is_heard(place):
    """A terminal sends the signal to all processes at once."""
    process = running(
        place,
        WAITS.replace("while", "try:\n  while", 1).replace(
            "    time.sleep(0.05)",
            "    time.sleep(0.05)\nexcept KeyboardInterrupt:\n  time.sleep(1)\n"
            "  sys.exit('stopped; the same command resumes')",
        ),
    )
    os.killpg(process.pid, signal.SIGINT)
    errors = process.communicate(timeout=PATIENCE_S)[1]
    assert process.returncode == 130, errors
    assert "stopped; the same command resumes" in errors
    assert "stopped; the same" in (place / "experiments/XP/logs/train.log").read_text()


def test_a_killed_job_does_not_look_as_if_it_ran_and_two_do_not_run_at_once(place):
    process = running(place, WAITS)
    second = submit(place, "true")
    assert second.returncode == 1
    assert "train is running already" in second.stderr
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=PATIENCE_S)
    assert "its process was killed" in status(place)


@pytest.mark.usefixtures("folder")
def test_a_training_that_no_launcher_started_is_seen(place):
    """Its lock and files are those of ``seloss.train.run.experiment``."""
    run_dir = place / "experiments" / "BARE"
    run_dir.mkdir(parents=True)
    (run_dir / "conf.yml").touch()
    (run_dir / "progress.json").write_text(
        '{"epoch": 1, "epochs": 10, "batch": 5, "batches": 10, "step": 15, "time": 0}'
    )
    code = "import fcntl, sys; f = open(sys.argv[1], 'a'); fcntl.lockf(f, fcntl.LOCK_EX); "
    code += "print('up', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, run_dir / ".lock"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout.readline() == "up\n"
    progress = "epoch 2 of 10, step 5 of 10;"
    assert re.search(f"BARE +train +running +{progress} started by train.py", status(place))
    holder.communicate("")
    assert re.search(f"BARE +train +stopped +{progress} the same command", status(place))
    (run_dir / "best_model.pth").touch()
    assert re.search(r"BARE +train +finished", status(place))


def test_nothing_submitted_is_said(place):
    (place / "experiments" / "XP").mkdir(parents=True)
    assert "nothing was submitted" in status(place, "XP")


def test_an_experiment_that_is_not_there_is_named(launch, place):
    done = launch("status", "XP")
    assert done.returncode == 1
    assert f"no experiment {place / 'experiments' / 'XP'}" in done.stderr


def test_the_scripts_pass_shellcheck():
    shellcheck = Path(sys.executable).with_name("shellcheck")
    scripts = [p for f in ("scripts", "tests/cluster") for p in (ROOT / f).rglob("*.sh")]
    done = subprocess.run(
        [shellcheck, "-x", *scripts], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout
