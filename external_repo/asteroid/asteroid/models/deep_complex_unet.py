"""DCUnet: a complex U-Net that enhances speech by a mask on magnitude and phase."""

from __future__ import annotations

from math import prod
from typing import Any, Literal, NamedTuple

import torch.nn.functional as F
from torch import Tensor

from asteroid.masknn.complex.stft import ComplexStft
from asteroid.masknn.complex.unet import Layer, Style, UNet
from asteroid.utils.registry import check_choice

from .complex_mask_model import ComplexMaskModel

__all__ = ["ARCHITECTURES", "FORMS", "Architecture", "DCUnet"]

Sizes = tuple[tuple[tuple[int, int], tuple[int, int]], ...]


class Architecture(NamedTuple):
    """Kernels and strides ``(freq, time)`` of the encoders, and the channels of all layers.

    ``real`` gives the channels of the real-valued twin with about as many parameters.
    """

    sizes: Sizes
    encoders: tuple[int, ...]
    decoders: tuple[int, ...]
    real: dict[int, int]


_TEN: Sizes = (((7, 5), (2, 2)), ((7, 5), (2, 2)), *(((5, 3), (2, 2)),) * 2, ((5, 3), (2, 1)))
_SIXTEEN: Sizes = (
    *(((7, 5), (2, 2)), ((7, 5), (2, 1)), ((7, 5), (2, 2)), ((5, 3), (2, 1))),
    *(((5, 3), (2, 2)), ((5, 3), (2, 1))) * 2,
)
_TWENTY: Sizes = (
    *(((7, 1), (1, 1)), ((1, 7), (1, 1)), ((7, 5), (2, 2)), ((7, 5), (2, 1))),
    *(((5, 3), (2, 2)), ((5, 3), (2, 1))) * 3,
)
_DRAWN = {32: 45, 64: 90, 90: 180}  # as the paper's figures have it
_SQRT2 = {45: 64, 90: 127, 128: 181}  # the figures give none: the same ratio

ARCHITECTURES = {
    "DCUnet-10": Architecture(_TEN, (32, 64, 64, 64, 64), (64, 64, 64, 32), _DRAWN),
    "DCUnet-16": Architecture(
        _SIXTEEN, (32, 32, 64, 64, 64, 64, 64, 64), (64, 64, 64, 64, 64, 32, 32), _DRAWN
    ),
    "DCUnet-20": Architecture(_TWENTY, (32, 32, *(64,) * 7, 90), (*(64,) * 7, 32, 32), _DRAWN),
    "Large-DCUnet-20": Architecture(_TWENTY, (45, 45, *(90,) * 7, 128), (90,) * 9, _SQRT2),
}
FORMS = {"cRMCn": (1, 1), "cRMRn": (2, 2), "RMRn": (1, 1)}
"""Complex mask of a complex network, of a real one, and real mask of a real one: channels in, and
out for each source."""


class DCUnet(ComplexMaskModel):
    """DCUnet-10, -16, -20 and Large-DCUnet-20, and their real-valued twins.

    Not causal: kernels are symmetric in time. Any number of samples: frames are filled up with
    zeros to what the strides need, and the mask is cut again.

    Args:
        architecture: ``DCUnet-10``, ``DCUnet-16``, ``DCUnet-20`` or ``Large-DCUnet-20``.
        mask: ``tanh`` (BDT, the paper's choice), ``sigmoid`` (BDSS) or ``unbounded`` (UBD), see
            :func:`asteroid.masknn.complex.mask.apply_mask`. The form ``RMRn`` has ``magnitude``
            only, which is also what None means there.
        norm: Batch norm of complex maps: ``parts``, as in both public implementations, or
            ``whitening``, as the paper's reference for its building blocks has it.
        form: ``cRMCn``: the complex network. ``cRMRn``: a real network of about as many parameters
            from the parts of the spectrum to those of the mask. ``RMRn``: from the magnitude to a
            gain; the noisy phase stays.
        n_src: Number of masks; see :class:`.complex_mask_model.ComplexMaskModel`.
        width: Factor on all channel counts, for smaller networks than the published.
        bias: Whether convolutions before a batch norm have a bias (which that takes away again).
        n_fft: Points and window of the STFT.
        hop_length: Samples from one frame to the next.
        edges: ``reflect``, or ``asteroid`` for the transform of Asteroid's DCUNet, see
            :class:`asteroid.masknn.complex.stft.ComplexStft`.
        sample_rate: In Hz.

    Raises:
        ValueError: An argument is none of the above, or ``n_fft`` does not divide by the strides.

    Example:
        >>> import torch
        >>> network = DCUnet("DCUnet-10", width=0.1)
        >>> network(torch.randn(2, 1, 5000)).shape
        torch.Size([2, 1, 5000])

    Source: Choi et al., "Phase-aware speech enhancement with deep complex U-Net", ICLR 2019.
    """

    latency_samples = None
    """The network looks at the whole signal."""

    def __init__(
        self,
        architecture: str = "DCUnet-10",
        mask: Literal["tanh", "sigmoid", "unbounded", "magnitude", "separate"] | None = None,
        norm: Literal["parts", "whitening"] = "parts",
        form: Literal["cRMCn", "cRMRn", "RMRn"] = "cRMCn",
        n_src: int = 1,
        width: float = 1.0,
        bias: bool = False,
        n_fft: int = 1024,
        hop_length: int = 256,
        edges: Literal["reflect", "asteroid", "zeros"] = "reflect",
        sample_rate: float = 16000,
    ) -> None:
        check_choice("form", form, FORMS)
        mask = mask or ("magnitude" if form == "RMRn" else "tanh")
        if (mask == "magnitude") != (form == "RMRn"):
            raise ValueError(
                f"mask 'magnitude' and form 'RMRn' go together; got {mask!r}, {form!r}"
            )
        super().__init__(sample_rate, n_src, mask, ComplexStft(n_fft, hop_length, edges=edges))
        plans = {name.lower(): plan for name, plan in ARCHITECTURES.items()}
        if str(architecture).lower() not in plans:
            check_choice("architecture", architecture, ARCHITECTURES)
        plan = plans[str(architecture).lower()]
        self.form, self.real = form, form != "cRMCn"
        self.arguments = {
            **{"architecture": architecture, "mask": mask, "norm": norm, "form": form},
            **{"n_src": n_src, "width": width, "bias": bias, "n_fft": n_fft},
            **{"hop_length": hop_length, "edges": edges},
        }
        n_in, n_out = FORMS[form]
        encoders, decoders = _layers(plan, n_out * n_src, width, self.real)
        style = Style(real=self.real, norm=norm, bias=bias)
        self.masker = UNet(encoders, decoders, n_in=n_in, style=style)
        self.frame_step = prod(layer.stride[1] for layer in encoders)
        bin_step = prod(layer.stride[0] for layer in encoders)
        # n_fft / 2 + 1 bins are odd, as every layer's rows must be for its decoder to restore them.
        if (n_fft // 2) % bin_step:
            raise ValueError(
                f"n_fft must be a multiple of {2 * bin_step} for {architecture}; got {n_fft}"
            )

    def mask_output(self, spectrum: Tensor) -> Tensor:
        """Return what makes the masks of ``(batch, 2, freq, frames)``."""
        n_frames = spectrum.shape[-1]
        if self.form == "RMRn":
            spectrum = spectrum.square().sum(1, keepdim=True).clamp_min(1e-20).sqrt()
        # Frames too must be one more than a multiple of the strides' product.
        x = F.pad(spectrum, (0, -(n_frames - 1) % self.frame_step))
        y: Tensor = self.masker(x)
        return y[..., :n_frames]

    def get_model_args(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**self.arguments, "sample_rate": self.sample_rate}


def _layers(
    plan: Architecture, n_out: int, width: float, real: bool
) -> tuple[list[Layer], list[Layer]]:
    if width <= 0:
        raise ValueError(f"width must be positive; got {width}")

    def channels(count: int) -> int:
        return max(1, round((plan.real[count] if real else count) * width))

    down = [Layer(channels(c), *size) for c, size in zip(plan.encoders, plan.sizes, strict=True)]
    counts = [*map(channels, plan.decoders), n_out]
    up = [Layer(c, *size) for c, size in zip(counts, reversed(plan.sizes), strict=True)]
    return down, up
