"""PESQ of two arrays, in this process or, run as a program, in one that may crash.

P.862's code holds at most 50 utterances and writes beyond its tables with more, which ends the
process. An utterance and the pause behind it take at least 0.4 s, so only signals of more than
20 s can have so many: this file, run as a program, scores those; signals on stdin, answer on
stdout.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asteroid.utils.optional import needed_for

__all__ = ["pesq_score"]

SAFE_SECONDS = 20.0

_Array = NDArray[np.float64]


def pesq_score(target: _Array, estimate: _Array, sample_rate: int, mode: str) -> tuple[float, str]:
    """Return the score, or NaN and why there is none.

    Signals are ``(time,)``, both as long; ``mode`` is "wb" or "nb".

    Raises:
        ModuleNotFoundError: The library is not installed.
    """
    with needed_for("PESQ (whose package needs a C compiler)"):
        import pesq  # noqa: F401 - before another process is started for it
    if len(target) <= SAFE_SECONDS * sample_rate:
        return _here(target, estimate, sample_rate, mode)
    command = [sys.executable, __file__, str(sample_rate), mode]
    sent = np.stack([target, estimate]).astype(np.float64).tobytes()
    done = subprocess.run(command, input=sent, capture_output=True, check=False)
    if done.returncode:
        seconds = len(target) / sample_rate
        return np.nan, f"PESQ crashed on {seconds:.0f} s: it cannot hold more than 50 utterances"
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer.get("value", np.nan), answer["reason"]


def _here(target: _Array, estimate: _Array, sample_rate: int, mode: str) -> tuple[float, str]:
    """Call pesq; it raises when it detects no utterance."""
    from pesq import PesqError, pesq

    try:
        value = float(pesq(sample_rate, target, estimate, mode))
    except PesqError as error:
        said = error.args[0] if error.args else type(error).__name__
        return np.nan, f"PESQ: {said.decode() if isinstance(said, bytes) else said}"
    return (value, "") if np.isfinite(value) else (np.nan, "PESQ is not finite")


def _answer() -> None:
    """Score the signals on stdin."""
    target, estimate = np.frombuffer(sys.stdin.buffer.read(), np.float64).reshape(2, -1)
    value, reason = _here(target, estimate, int(sys.argv[1]), sys.argv[2])
    print(json.dumps({"reason": reason} if reason else {"value": value, "reason": ""}))


if __name__ == "__main__":
    _answer()
