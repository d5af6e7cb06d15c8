"""Start a scheduler in namespaces of its own and run commands on its front end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
_NAMESPACES = ["--net", "--mount", "--uts", "--ipc", "--pid"]
_NEEDED = {
    "slurm": ("slurmctld", "slurmd", "munged", "ip"),
    "oar": ("oarsub", "Almighty", "oarproperty", "initdb", "sshd", "ip"),
}
_PLACES = os.pathsep.join(
    [
        os.environ.get("PATH", ""),
        "/usr/sbin",
        "/sbin",
        *map(str, Path("/usr/lib/postgresql").glob("*/bin")),
    ]
)


class Scheduler:
    """A SLURM or an OAR that ends when this process does.

    Args:
        kind: ``slurm`` or ``oar``.
        nodes: Number of virtual nodes.
        cpus: Cores of each, as the scheduler is told.
        gpus: GPUs of each, as the scheduler is told.
    """

    def __init__(self, kind: str, nodes: int = 2, cpus: int = 4, gpus: int = 0) -> None:
        self.kind = kind
        self.folder = Path(tempfile.mkdtemp(prefix=f"seloss-{kind}-"))
        self.folder.chmod(0o755)
        command = ["setpriv", "--pdeathsig", "KILL", "unshare", *_NAMESPACES, "--fork"]
        command += ["--kill-child", "--mount-proc", "bash", str(HERE / f"{kind}.sh")]
        command += [str(self.folder), str(nodes), str(cpus), str(gpus)]
        if kind == "oar":
            command += [str(path) for path in (ROOT, Path(sys.base_prefix), Path(sys.prefix))]
        with (self.folder / "start.log").open("wb") as log:
            self._holder = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True, env=self._environment()
            )
        deadline = time.monotonic() + 120
        while not (self.folder / "ready").exists():
            if self._holder.poll() is not None or time.monotonic() > deadline:
                self.close()
                log = (self.folder / "start.log").read_text(errors="replace")
                raise RuntimeError(f"{kind} did not start: {log[-2000:]}")
            time.sleep(0.05)
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children").read_text()
        self._init = children.split()[0]

    def run(
        self, *command: object, env: dict[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on the front end; OAR's as the user alice."""
        inside = ["nsenter", "-t", self._init, *_NAMESPACES, "--"]
        if self.kind == "oar":
            inside += ["runuser", "-u", "alice", "--"]
        inside += ["bash", "-c", 'cd -- "$1" && shift && exec "$@"', "-", str(cwd or self.home)]
        return subprocess.run(
            [*inside, *map(str, command)],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env={**self._environment(), **(env or {})},
        )

    @property
    def home(self) -> Path:
        """A folder of the user who submits."""
        return self.folder / "home" / "alice" if self.kind == "oar" else self.folder

    def close(self) -> None:
        """Kill everything that runs in it and remove its folder."""
        self._holder.kill()
        self._holder.wait()
        time.sleep(0.2)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _environment(self) -> dict[str, str]:
        kept = {key: os.environ[key] for key in ("PATH", "LANG", "TMPDIR") if key in os.environ}
        kept["PATH"] = _PLACES
        if self.kind == "slurm":
            return {**kept, "SLURM_CONF": str(self.folder / "etc" / "slurm.conf")}
        return {**kept, "HOME": str(self.home), "USER": "alice", "LOGNAME": "alice"}


def why_not(kind: str) -> str:
    """Return why this machine cannot run a scheduler; nothing if it can."""
    if os.geteuid() != 0:
        return "only root can start it"
    missing = [name for name in _NEEDED[kind] if shutil.which(name, path=_PLACES) is None]
    if missing:
        return f"{', '.join(missing)} not found: .ci/run installs the Debian packages"
    try_it = ["unshare", *_NAMESPACES, "--fork", "--mount-proc", "mount", "--make-rprivate", "/"]
    done = subprocess.run(try_it, capture_output=True, text=True, check=False)
    return f"no namespaces: {done.stderr.strip()}" if done.returncode else ""


def start(kind: str, **options: int) -> Scheduler:
    """Start a scheduler; where that cannot be, skip, or fail if SELOSS_REQUIRE_CLUSTER=1."""
    reason = why_not(kind)
    if not reason:
        return Scheduler(kind, **options)
    if os.environ.get("SELOSS_REQUIRE_CLUSTER") == "1":
        pytest.fail(f"a private {kind} is required here: {reason}")
    pytest.skip(f"no private {kind}: {reason}")
