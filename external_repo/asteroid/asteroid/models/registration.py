"""Registration of the project's networks with Asteroid's ``register_model``."""

from __future__ import annotations

from . import cnunet_program, dccrn_stream, register_model  # noqa: F401, the first two register
from .cnunet import CNUNet
from .dccrn import DCCRN
from .deep_complex_unet import DCUnet
from .nunet import NUNetTLS

__all__ = ["DCCRN", "CNUNet", "DCUnet", "NUNetTLS"]

for _network in (CNUNet, DCCRN, DCUnet, NUNetTLS):
    register_model(_network)
