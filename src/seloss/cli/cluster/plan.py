"""Plan of a submission: its tasks, and the commands that start their processes."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Task:
    """A command, the folder of its experiment, and its name there (as train)."""

    run_dir: str
    name: str
    command: list[str]

    @property
    def tag(self) -> str:
        """Name of the experiment."""
        return Path(self.run_dir).name

    def path(self, suffix: str) -> Path:
        """Return the path of one of its files in ``logs``, as ``.state``."""
        return Path(self.run_dir, "logs", self.name + suffix)


@dataclass(frozen=True)
class Plan:
    """What is submitted: tasks, and the nodes and processes of each."""

    scheduler: str
    nodes: int
    ranks: int
    tasks: list[Task]

    def to_json(self) -> str:
        """Return the text of the submitted file."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n"

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Read a submitted file."""
        content = json.loads(path.read_text(encoding="utf-8", errors="surrogateescape"))
        return cls(**{**content, "tasks": [Task(**task) for task in content["tasks"]]})

    def local_command(self, task: Task) -> list[str]:
        """Return what runs a task on one node: its command, by torchrun for several processes."""
        if self.ranks == 1:
            return task.command
        return self._torchrun(task, "--standalone", "--local-addr", "127.0.0.1")

    def node_command(self, task: Task, rank: int, address: str) -> list[str]:
        """Return what runs a task's processes on one node of several."""
        host, _, port = address.rpartition(":")
        words = ["--nnodes", str(self.nodes), "--node-rank", str(rank)]
        return self._torchrun(task, *words, "--master-addr", host, "--master-port", port)

    def _torchrun(self, task: Task, *rendezvous: str) -> list[str]:
        words = [sys.executable, "-m", "torch.distributed.run", *rendezvous]
        return [*words, f"--nproc-per-node={self.ranks}", "--no-python", "--", *task.command]
