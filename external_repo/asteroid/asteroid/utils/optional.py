"""Packages that only some of the work needs, and how to install them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["EXTRAS", "missing_package", "needed_for"]

_DNSMOS = ("speechmos onnxruntime librosa", "evaluate")
_MLFLOW = ("mlflow-skinny sqlalchemy alembic", "loggers")
_ONNX = ("onnx onnxruntime onnxscript", "export")
_STREAMS = ("numba threadpoolctl", "live")
EXTRAS: dict[str, tuple[str, str]] = {
    "clarity": ("pyclarity", "binaural"),
    "distillmos": ("distillmos==0.9.1", "evaluate"),
    "fast_bss_eval": ("fast-bss-eval", "evaluate"),
    "jinja2": ("jinja2", "report"),
    "jiwer": ("jiwer", "evaluate"),
    "lightning_fabric": ("pytorch-lightning", "train"),
    "librosa": _DNSMOS,
    "mlflow": _MLFLOW,
    "moonshine_voice": ("moonshine-voice==0.0.44", "recognition"),
    "numba": _STREAMS,
    "onnx": _ONNX,
    "onnxruntime": _DNSMOS,
    "onnxscript": _ONNX,
    "pesq": ("pesq", "pesq"),
    "pocketsphinx": ("pocketsphinx==5.1.1", "recognition"),
    "pyloudnorm": ("pyloudnorm", "report"),
    "pyroomacoustics": ("pyroomacoustics", "train"),
    "pystoi": ("pystoi", "evaluate"),
    "pytorch_lightning": ("pytorch-lightning", "train"),
    "sklearn": ("scikit-learn", "train"),
    "sounddevice": ("sounddevice", "live"),
    "soundswallower": ("soundswallower", "evaluate"),
    "speechmos": _DNSMOS,
    "statsmodels": ("statsmodels", "evaluate"),
    "tensorboard": ("tensorboard", "train"),
    "threadpoolctl": _STREAMS,
    "torch_stoi": ("torch-stoi torchaudio", "asteroid"),
    "transformers": ("transformers", "recognition"),
    "wandb": ("wandb", "loggers"),
}
"""Module -> what pip calls it, and the extra of ``seloss`` that holds it."""


@contextmanager
def needed_for(purpose: str) -> Iterator[None]:
    """Name what an import inside lacks, and the command that installs it.

    Args:
        purpose: What cannot be done without, such as ``"MBSTOI"``: the message's first words.

    Raises:
        ModuleNotFoundError: A package of an extra is not installed.

    Example:
        >>> with needed_for("a report"):
        ...     raise ModuleNotFoundError("No module named 'jinja2'", name="jinja2")
        Traceback (most recent call last):
        ModuleNotFoundError: a report needs jinja2: pip install jinja2, or 'seloss[report]'
    """
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if module not in EXTRAS:
            raise
        raise missing_package(purpose, module) from error


def missing_package(purpose: str, module: str) -> ModuleNotFoundError:
    """Return the error about a module that is not installed, one of :data:`EXTRAS`."""
    package, extra = EXTRAS[module]
    command = f"pip install {package}, or 'seloss[{extra}]'"
    return ModuleNotFoundError(f"{purpose} needs {package}: {command}", name=module)
