"""Precisions that a machine has, checked before a run touches anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from seloss.train.options.parser import ConfigError

if TYPE_CHECKING:
    from seloss.train.options.training import TrainingConfig

__all__ = ["check_precision", "choose_precision"]

LightningPrecision = Literal["32-true", "bf16-mixed", "16-mixed"]


def check_precision(training: TrainingConfig) -> None:
    """Refuse a precision that this machine has not; torch is imported for mixed ones only.

    Raises:
        ConfigError: It says which precisions there are.
    """
    if training.precision in ("auto", "32"):
        return
    import torch

    on_gpu = training.gpus != 0 and torch.cuda.is_available()
    choose_precision(str(training.precision), on_gpu)


def choose_precision(requested: str, on_gpu: bool) -> LightningPrecision:
    """Return Lightning's name of a precision; ``auto`` is bf16 where a GPU has it, else 32.

    Raises:
        ConfigError: The device has not got it.
    """
    import torch

    # What torch emulates on older GPUs is slower than 32 bits.
    has_bf16 = not on_gpu or torch.cuda.is_bf16_supported(including_emulation=False)
    if requested == "auto":
        requested = "bf16-mixed" if on_gpu and has_bf16 else "32"
    if requested == "16-mixed" and not on_gpu:
        raise ConfigError(
            "training.precision 16-mixed needs a GPU, and there is none here or none is used; on "
            "the CPU it may be 32 or bf16-mixed"
        )
    if requested == "bf16-mixed" and not has_bf16:
        raise ConfigError(
            "training.precision bf16-mixed: this GPU has no bf16; it may be 32 or 16-mixed"
        )
    names: dict[str, LightningPrecision] = {"32": "32-true"}
    names |= {"bf16-mixed": "bf16-mixed", "16-mixed": "16-mixed"}
    return names[requested]
