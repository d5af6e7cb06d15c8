"""A Python whose third-party libraries are imported already: programs start at once.

``python()`` names an interpreter for tests that start programs: a server, started once by each
test process, imports what every program imports (nothing of this project) and forks for each
program. Arguments, environment, folder, streams, signals and exit status are the program's own.
What a running interpreter cannot be, such as one with other options, is left to a real one.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import runpy
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from contextlib import suppress
from functools import cache
from pathlib import Path

LIBRARIES = (
    "torch torch._dynamo torchaudio pytorch_lightning scipy.signal scipy.stats pandas soundfile"
)
LIBRARIES += " pystoi torch_stoi transformers torch.utils.tensorboard matplotlib.figure"
#: Beginnings of variables that count when an interpreter or a library starts.
EARLY = ("PYTHON", "OMP_", "MKL_", "KMP_", "OPENBLAS", "LD_", "TORCH", "CUDA", "MPL", "HF_")
REFUSED = b"refused"
AT_START = dict(os.environ)


def _early(environment: dict[str, str]) -> dict[str, str]:
    later = ("PYTHON", "PYTHON_EXEC", "PYTHONUNBUFFERED")  # two name an interpreter to programs
    return {k: v for k, v in environment.items() if k.startswith(EARLY) and k not in later}


@cache
def python() -> str:
    """Return the path of the interpreter; a real one where the system has no ``pidfd_open``."""
    if not hasattr(os, "pidfd_open"):
        return sys.executable
    folder = Path(tempfile.mkdtemp(prefix="warm"))  # short: a socket's path has 107 bytes
    command = [sys.executable, __file__, "serve", str(folder / "socket")]
    # The server ends when this process does: then its standard input is closed.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # as programs.py has it
    server = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"
    words = [sys.executable, "-IS", __file__, "ask", str(folder / "socket")]
    script = folder / "python"
    script.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    python.server = server  # type: ignore[attr-defined]
    return str(script)


def _ask(path: str, arguments: list[str]) -> None:
    """Have the server run a program; end as it ends."""
    with socket.socket(socket.AF_UNIX) as server:
        request = {"arguments": arguments, "environment": dict(os.environ), "cwd": os.getcwd()}
        server.connect(path)
        socket.send_fds(server, [b"3"], [0, 1, 2])
        server.sendall(json.dumps(request).encode() + b"\n")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP):
            signal.signal(number, lambda number, _: server.sendall(bytes([number])))
        answer = server.recv(16)
    if answer == REFUSED:
        os.execv(sys.executable, [sys.executable, *arguments])
    status = int(answer or b"-9")
    if status < 0:
        _die(-status)
    os._exit(status)


def _die(number: int) -> None:
    if number != signal.SIGKILL:  # which has no handler to take away
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _serve(path: str) -> list[str]:
    """Wait for programs; return in the process that is to be one, with its arguments."""
    for name in LIBRARIES.split():
        importlib.import_module(name)
    assert threading.active_count() == 1, "only a process with one thread may fork"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        print("ready", flush=True)
        while True:
            if sys.stdin in select.select([sys.stdin, listener], [], [])[0]:
                shutil.rmtree(Path(path).parent)
                sys.exit()
            client, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                return _program(client)
            client.close()
            with suppress(ChildProcessError):  # reap those that have ended
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass


def _program(client: socket.socket) -> list[str]:
    """Return in a new process that has everything of the client's; here, tell its end."""
    _, streams, _, _ = socket.recv_fds(client, 1, 3)
    with client.makefile("rb", buffering=0) as lines:
        request = json.loads(lines.readline())
    arguments, environment = request["arguments"], request["environment"]
    if arguments[:1] == ["-u"]:  # torchrun says so
        del arguments[0]
    runnable = bool(arguments) and (arguments[0] in ("-m", "-c") or arguments[0][0] != "-")
    if not runnable or _early(environment) != _early(AT_START):
        client.sendall(REFUSED)
        os._exit(0)
    if child := os.fork():
        _watch(client, child)
    client.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background process ignores it
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(environment)
    return arguments


def _watch(client: socket.socket, child: int) -> None:
    """Pass the client's signals on, kill the program if the client is killed; tell its end."""
    end = os.pidfd_open(child)
    while end not in (ready := select.select([client, end], [], [])[0]):
        numbers = client.recv(16)
        for number in numbers or [signal.SIGKILL]:
            os.kill(child, number)
        if not numbers:
            break
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if ready and end in ready:
        client.sendall(str(status).encode())
    os._exit(0)


def _become(arguments: list[str]) -> None:
    """Run a program as an interpreter with these arguments would, and end the process."""
    option, *rest = arguments
    status: object = 0
    try:
        if option == "-c":
            sys.argv, sys.path[0] = ["-c", *rest[1:]], ""
            main = sys.modules["__main__"] = type(sys)("__main__")
            exec(compile(rest[0], "<string>", "exec"), main.__dict__)
        elif option == "-m":
            sys.argv, sys.path[0] = rest, os.getcwd()
            runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        else:
            sys.argv, sys.path[0] = arguments, str(Path(option).resolve().parent)
            runpy.run_path(option, run_name="__main__")
    except SystemExit as left:
        status = left.code or 0
        if not isinstance(status, int):
            print(status, file=sys.stderr)
            status = 1
    except BaseException as error:
        traceback.print_exc()
        status = -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    if int(status) < 0:
        _die(-int(status))
    os._exit(int(status))  # libraries' threads, which a fork leaves behind, are not waited for


if __name__ == "__main__":
    mode, address, *given = sys.argv[1:]
    if mode == "ask":
        _ask(address, given)
    _become(_serve(address))
