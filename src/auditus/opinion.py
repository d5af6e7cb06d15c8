"""Mean opinions predicted from the estimate alone: no reference is needed.

DNSMOS (four scores, one run of its models, which ``speechmos`` carries) predicts ratings of ITU-T
P.835 and P.808; DistillMOS predicts one of P.800. They were trained on recordings at their usual
level: DNSMOS hears files within full scale, -1 .. 1, and its scores depend on the level. Samples
beyond that are no such file, so there is NaN with that reason; enhance with ``--match_level``, or
scale the estimate. DistillMOS scales every signal to its peak.

The first call ever of DNSMOS on a machine takes some 20 s: its library compiles, and keeps what it
compiled. Later ones take some 0.2 s for each of the windows of 9 s that advance by 1 s; a shorter
clip is repeated to fill them, as the library does.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import io
import os
import shutil
import tempfile
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asteroid.utils.optional import needed_for

from .memory import once
from .metric import Metric, Rows, Scores, metric

__all__ = ["distillmos", "dnsmos_bak", "dnsmos_ovrl", "dnsmos_p808", "dnsmos_sig"]

RATE_HZ = 16000
# What is shorter holds no sentence whose quality anyone rated.
MIN_SECONDS = 1.0
SCORES = ("sig", "bak", "ovrl", "p808")

_opinion = partial(
    metric,
    unit="MOS",
    needs=("estimate",),
    min_seconds=MIN_SECONDS,
    sample_rates=(RATE_HZ,),
)


def _dnsmos(score: str, label: str, quality: str) -> Metric:
    # No bounds: its polynomials and its P.808 network may leave the scale, and are not limited.
    @_opinion(
        f"dnsmos_{score}",
        label,
        source="Reddy, Gopal, Cutler: DNSMOS P.835, ICASSP 2022, and DNSMOS, ICASSP 2021; "
        "speechmos",
    )
    def dnsmos(rows: Rows) -> Scores:
        return _dnsmos_scores(rows.estimate)[score]

    object.__setattr__(dnsmos, "__doc__", f"DNSMOS: {quality}, predicted from the signal alone.")
    return dnsmos


dnsmos_sig = _dnsmos("sig", "DNSMOS-SIG", "the speech's quality (P.835)")
dnsmos_bak = _dnsmos("bak", "DNSMOS-BAK", "the background's unobtrusiveness (P.835)")
dnsmos_ovrl = _dnsmos("ovrl", "DNSMOS-OVRL", "overall quality (P.835)")
dnsmos_p808 = _dnsmos("p808", "DNSMOS-P808", "overall quality (P.808)")


@_opinion(
    "distillmos",
    "DistillMOS",
    bounds=(1.0, 5.0),
    source="Stahl and Gamper: Distillation and pruning for scalable self-supervised "
    "representation-based speech quality assessment, ICASSP 2025; distillmos",
)
def distillmos(rows: Rows) -> Scores:
    """DistillMOS: overall quality, predicted from the signal alone by a small network."""
    model = _distillmos_model()
    values = torch.cat([model(row[None].float()).reshape(1) for row in rows.estimate.cpu()])
    return Scores.of(values.double())


@once
def _dnsmos_scores(signals: Tensor) -> dict[str, Scores]:
    """Run DNSMOS's models over each row within full scale."""
    rows, reasons = [], []
    for signal in signals.cpu().numpy():
        peak = float(np.abs(signal).max())
        reasons.append("" if peak <= 1 else f"samples beyond full scale: the peak is {peak:.3g}")
        rows.append(_dnsmos_row(signal) if peak <= 1 else dict.fromkeys(SCORES, np.nan))
    return {
        name: Scores(torch.tensor([row[name] for row in rows], dtype=torch.float64), tuple(reasons))
        for name in SCORES
    }


def _dnsmos_row(signal: NDArray[np.float64]) -> dict[str, float]:
    opinions = _dnsmos_model()(signal, RATE_HZ, is_personalized_MOS=False)
    return {name: float(opinions[f"{name}_mos"]) for name in SCORES}


def _let_librosa_compile() -> None:
    """Give numba a folder to compile librosa into, which DNSMOS imports, where it has none.

    Without one, as in a container whose environment and home are read-only, the import fails.
    """
    package = importlib.util.find_spec("librosa")
    if package is None or package.origin is None:
        return
    cache = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    if not (_is_writable(Path(package.origin).parent) or _is_writable(cache / "numba")):
        import numba

        folder = tempfile.mkdtemp(prefix="numba-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        setattr(numba.config, "CACHE_DIR", folder)  # noqa: B010  (its stubs lack it)


def _is_writable(folder: Path) -> bool:
    while not folder.exists():
        folder = folder.parent
    return os.access(folder, os.W_OK)


@lru_cache(maxsize=1)
def _dnsmos_model() -> Any:
    """Return the library's model on one thread: processes, not threads, fill the cores."""
    _let_librosa_compile()
    with needed_for("DNSMOS"):
        import onnxruntime
        from speechmos import dnsmos as library

    class OnOneThread(library.DNSMOS):  # type: ignore[misc]
        """The library's, but for its sessions, which would take all cores."""

        def __init__(self, folder: Path) -> None:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            self.onnx_sess, self.p808_onnx_sess = (
                onnxruntime.InferenceSession(folder / name, options)
                for name in ("sig_bak_ovr.onnx", "model_v8.onnx")
            )

    return OnOneThread(Path(library.__file__).parent / "dnsmos_models")


@lru_cache(maxsize=1)
def _distillmos_model() -> Any:
    with needed_for("DistillMOS"):
        from distillmos import ConvTransformerSQAModel
    with contextlib.redirect_stdout(io.StringIO()):  # it prints where its weights are
        return ConvTransformerSQAModel().eval()
