"""Job in its allocation: run a task on each of its nodes until it is done, stopped or requeued.

The file is a plan that ``submit`` wrote. A task of one process is run as it is, one of several by
torchrun. A training that leaves the file REQUEUE in its folder is to be started again: the job is
put into the queue again (on this machine the command is repeated). What becomes of the task stands
in ``logs/NAME.state``.

SIGUSR1, which schedulers send before the walltime's end, becomes the file STOP, at which training
saves and leaves, to be started again. A file STOP that somebody else makes has it save and leave
for good, as SIGTERM does without saving: a job that was cancelled must not start again.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from asteroid.utils.system import lock_file

from .plan import Plan
from .schedulers import PLACES, SchedulerError

# A task of an array, from 1 on. Processes that oarsh starts on other nodes know only the first.
_INDICES = ("SELOSS_TASK", "SLURM_ARRAY_TASK_ID", "OAR_ARRAY_INDEX")
_POLL_S = 0.1
# From a terminal Ctrl-C reaches the command too, which then ends by itself.
_PATIENCE_S = 10.0
PREEMPTED = 75


class Job:
    """One task of a plan.

    Args:
        plan: The plan.
        index: The task's, from 1.
        script: The submitted bash file, which is started on every node of several.
    """

    def __init__(self, plan: Plan, index: int = 1, script: Path | None = None) -> None:
        self.plan, self.index, self.script = plan, index, script
        self.task = plan.tasks[index - 1]
        self.is_training = self.task.name == "train"
        self.place = PLACES[plan.scheduler]
        self.log: IO[bytes] | None = None
        self.stop_requested = False
        self.leaving = 0
        self.left_at = 0.0
        self.started = time.monotonic()

    def run(self) -> int:
        """Run the task; return its exit status, 128 + n for a signal n."""
        self.task.path("").parent.mkdir(parents=True, exist_ok=True)
        self.allocation = self.place.allocation()
        with ExitStack() as stack:
            if self.plan.scheduler == "local":
                if not self._lock(stack):
                    self.say(f"{self.task.name} is running already in {self.task.run_dir}")
                    return 1
                self.log = stack.enter_context(self.task.path(".log").open("ab"))
            stack.enter_context(self._signals())
            return self._run()

    def say(self, text: str) -> None:
        """Write a line of the runner's own to stderr and the log."""
        line = f"[job] {time.strftime('%Y-%m-%dT%H:%M:%S%z')} {text}\n".encode()
        _write(2, line)
        if self.log is not None:
            _write(self.log.fileno(), line)

    def write_state(self, kind: str, detail: str = "") -> None:
        """Write what has become of the task to ``logs/NAME.state``."""
        path = self.task.path(".state")
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        line = f"{kind} {int(time.time())} {self.allocation.job} {detail}\n"
        try:
            temporary.write_text(line, encoding="utf-8")
            temporary.replace(path)
        except OSError as error:  # a full disk must not leave the command without its runner
            self.say(f"{path}: {error}")
        if kind == "failed":
            self.say(f"failed: {detail}")

    def _lock(self, stack: ExitStack) -> bool:
        """Hold ``logs/NAME.lock`` as long as this process lives; return whether it was free.

        A record lock, unlike one by ``flock``, is not shared with the command.
        """
        lock = stack.enter_context(self.task.path(".lock").open("a"))
        try:
            lock_file(lock)
        except (BlockingIOError, PermissionError):
            return False
        except OSError:  # a file system without locks
            pass
        return True

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Handle signals, but for those that were ignored when this process began (nohup)."""
        numbers = (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        before = {
            number: signal.signal(number, self._on_signal)
            for number in numbers
            if signal.getsignal(number) is not signal.SIG_IGN
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, _frame: object) -> None:
        """Note a signal; the loop of ``_wait`` acts."""
        if number != signal.SIGUSR1:
            self.leaving, self.left_at = 128 + number, time.monotonic()
        elif self.is_training:
            self.stop_requested = True
            Path(self.task.run_dir, "STOP").touch()
            self.say("asked to stop: saving at the end of the step")
        else:
            self.say("the walltime ends soon; the same command resumes")

    def _run(self) -> int:
        plan, task = self.plan, self.task
        hosts = self.allocation.hosts[: plan.nodes]
        if len(hosts) < plan.nodes:
            self.write_state("failed", f"{len(hosts)} node(s) instead of {plan.nodes}")
            return 1
        marker = Path(task.run_dir, "REQUEUE")
        if self.is_training:
            for path in (marker, Path(task.run_dir, "STOP")):
                path.unlink(missing_ok=True)
        place = f"on {' '.join(hosts)}"
        while True:
            self.write_state("running", place)
            if plan.scheduler != "local":
                self.say(f"job {self.allocation.job} {place}: {shlex.join(task.command)}")
            status = self._run_command()
            if self.leaving:
                self.write_state("stopped", "by a signal")
                return self.leaving
            if not (self.is_training and marker.is_file() and status in (0, PREEMPTED)):
                break
            ending = self._requeue(marker)
            if ending is not None:
                return ending
        if status:
            self.write_state("failed", f"status {status}")
        else:
            self.write_state("finished")
        return status

    def _requeue(self, marker: Path) -> int | None:
        """Put the job into the queue again; return an exit status if it is to end, else None."""
        step, began = map(int, marker.read_text(encoding="utf-8").split())
        marker.unlink()
        if step <= began:
            reason = "no step was made between two stops: the walltime is too short"
            self.write_state("failed", reason)
            return 1
        if not self.stop_requested:  # somebody made the file STOP
            stop = Path(self.task.run_dir, "STOP")
            self.write_state(
                "stopped", f"after step {step}, as {stop} asked; the same command resumes"
            )
            return PREEMPTED
        self.stop_requested = False
        self.write_state("requeued", f"after step {step}")
        self.say(f"stopped after step {step}; to be started again")
        # The scheduler may end this process now, and what was written must stay.
        before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
        try:
            self.place.requeue(self.allocation.job, self.started)
        except SchedulerError as error:
            self.write_state("failed", str(error))
            return 1
        signal.signal(signal.SIGTERM, before)
        return None

    def _run_command(self) -> int:
        """Run the command on all nodes; return its status."""
        try:
            children = self._start()
        except OSError as error:
            self.say(f"error: {error}")
            return 127
        # What a command prints goes to this process's own streams and to the log.
        copies = [
            threading.Thread(target=_copy, args=(source, (target, self.log.fileno())), daemon=True)
            for child in children
            if self.log is not None
            for source, target in ((child.stdout, 1), (child.stderr, 2))
        ]
        for copy in copies:
            copy.start()
        status = self._wait(children)
        for copy in copies:
            copy.join(timeout=_PATIENCE_S)  # something that the command left may hold its output
        return status if status >= 0 else 128 - status

    def _start(self) -> list[subprocess.Popen[bytes]]:
        plan = self.plan
        pipe = None if self.log is None else subprocess.PIPE
        if plan.nodes == 1:
            return [subprocess.Popen(plan.local_command(self.task), stdout=pipe, stderr=pipe)]
        hosts, script = self.allocation.hosts[: plan.nodes], str(self.script)
        address = f"{hosts[0]}:{20000 + self.allocation.number % 20000}"
        words = ["env", f"SELOSS_TASK={self.index}", "bash", script, "--node", address]
        calls = self.place.spread(words, hosts)
        return [subprocess.Popen(call, stdin=subprocess.DEVNULL) for call in calls]

    def _wait(self, children: Sequence[subprocess.Popen[bytes]]) -> int:
        """Wait for all; when one fails, or a signal comes, end the others."""
        ended = False
        while running := [child for child in children if child.poll() is None]:
            failed = any(child.returncode for child in children)
            patience = _PATIENCE_S if self.leaving == 128 + signal.SIGINT else 0.0
            left = self.leaving and time.monotonic() - self.left_at >= patience
            if (failed or left) and not ended:
                ended = True
                try:
                    for child in running:
                        child.terminate()
                except PermissionError:  # oarsh runs as OAR's user; OAR ends it with the job
                    break
            time.sleep(_POLL_S)
        return next((child.returncode for child in children if child.returncode), self.leaving)


def _copy(source: IO[bytes], targets: Sequence[int]) -> None:
    while chunk := os.read(source.fileno(), 1 << 16):
        for target in targets:
            _write(target, chunk)
    source.close()


def _write(target: int, chunk: bytes) -> None:
    """Write to a descriptor, as far as it can be: a closed terminal must not end the job."""
    with suppress(OSError):
        while chunk:
            chunk = chunk[os.write(target, chunk) :]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit status."""
    parser = argparse.ArgumentParser(prog="seloss.cli.cluster.job", description=__doc__)
    parser.add_argument("file", type=Path, metavar="FILE", help="plan that submit wrote")
    parser.add_argument("--node", metavar="ADDRESS:PORT", help="start this node's processes only")
    parser.add_argument("rank", nargs="?", type=int, help="the node's number (or $SLURM_NODEID)")
    args = parser.parse_intermixed_args(argv)
    plan = Plan.read(args.file)
    index = int(next((os.environ[name] for name in _INDICES if os.environ.get(name)), 1))
    if not 1 <= index <= len(plan.tasks):
        parser.error(f"{args.file} has {len(plan.tasks)} task(s), none has the number {index}")
    if args.node is None:
        return Job(plan, index, args.file.with_suffix(".sh")).run()
    rank = int(os.environ["SLURM_NODEID"]) if args.rank is None else args.rank
    words = plan.node_command(plan.tasks[index - 1], rank, args.node)
    return os.execvp(words[0], words)


if __name__ == "__main__":
    sys.exit(main())
