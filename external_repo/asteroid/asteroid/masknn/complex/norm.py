"""Batch normalisation and activations of complex feature maps ``(batch, 2 * C, freq, frames)``."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asteroid.utils.fast_path import on_fast_path
from asteroid.utils.registry import check_choice

from .whitening import moments, whiten
from .whitening_fast import whiten_fast

__all__ = ["ComplexBatchNorm2d", "ComplexLeakyReLU", "ComplexPReLU"]

KINDS = ("parts", "whitening")


class ComplexBatchNorm2d(nn.Module):
    """Batch normalisation of complex channels, of each part by itself or of both together.

    ``parts`` normalises real and imaginary parts like two independent real batch norms, and has
    their parameters under Asteroid's names (``re_module.weight``, ...). The correlation of the two
    parts stays as it is.

    ``whitening`` multiplies each channel's ``[re; im]`` by the inverse square root of its 2 x 2
    covariance, after which the parts are uncorrelated and of unit variance, then by a learnt
    symmetric 2 x 2 matrix (starting as ``I / sqrt(2)``), and adds a learnt complex number. The
    statistics are computed in float32 (float64 for float64) whatever autocast says; ``eps`` keeps
    the root finite for a channel that is constant, or whose parts are proportional.

    Args:
        channels: Complex channels.
        kind: ``parts`` or ``whitening``.
        eps: Added to both variances.
        momentum: Share of a batch in the running statistics.

    Raises:
        ValueError: ``kind`` is neither.

    Source: Trabelsi et al., "Deep complex networks", ICLR 2018, section 3.5 (whitening); Hu et al.,
        "DCCRN", Interspeech 2020, and Asteroid (parts).
    """

    re_module: Any
    im_module: Any
    running_mean: Tensor
    running_covariance: Tensor
    num_batches_tracked: Tensor

    def __init__(
        self, channels: int, kind: str = "parts", eps: float = 1e-5, momentum: float = 0.1
    ) -> None:
        super().__init__()
        check_choice("kind", kind, KINDS)
        self.channels, self.kind, self.eps, self.momentum = channels, kind, eps, momentum
        if kind == "parts":
            self.re_module, self.im_module = (
                nn.BatchNorm2d(channels, eps, momentum) for _ in range(2)
            )
            return
        scale = 0.5**0.5  # a complex number of variance 1 has parts of variance 1 / 2
        self.weight = nn.Parameter(torch.tensor([scale, 0.0, scale])[:, None].repeat(1, channels))
        self.bias = nn.Parameter(torch.zeros(2, channels))
        self.register_buffer("running_mean", torch.zeros(2, channels))
        unit = torch.tensor([1.0, 0.0, 1.0])[:, None].repeat(1, channels)
        self.register_buffer("running_covariance", unit)
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``(batch, 2 * channels, freq, frames)``; the result has the type of ``x``."""
        return self._parts(x) if self.kind == "parts" else self._whiten(x)

    def _parts(self, x: Tensor) -> Tensor:
        """One real batch norm over all parts, with the parameters of two."""
        both = (self.re_module, self.im_module)
        weight, bias = (torch.cat([getattr(n, p) for n in both]) for p in ("weight", "bias"))
        with torch.no_grad():
            mean = torch.cat([norm.running_mean for norm in both])
            variance = torch.cat([norm.running_var for norm in both])
        options = (self.training, self.momentum, self.eps)
        y = F.batch_norm(x, mean, variance, weight, bias, *options)
        if self.training:
            with torch.no_grad():
                for norm, m, v in zip(both, mean.chunk(2), variance.chunk(2), strict=True):
                    norm.running_mean.copy_(m)
                    norm.running_var.copy_(v)
                    norm.num_batches_tracked.add_(1)
        return y

    def _whiten(self, x: Tensor) -> Tensor:
        exact = torch.promote_types(x.dtype, torch.float)
        with torch.autocast(x.device.type, enabled=False):
            wide = x.to(exact)
            if self.training:
                mean, covariance = moments(wide.detach())
                self._track(mean, covariance, x.numel() // x.shape[1])
            else:
                mean, covariance = self.running_mean.to(exact), self.running_covariance.to(exact)
            compute = whiten_fast if on_fast_path(wide) else whiten
            y = compute(
                wide,
                self.weight.to(exact),
                self.bias.to(exact),
                mean,
                covariance,
                eps=self.eps,
                of_batch=self.training,
            )
        return y.to(x.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, covariance: Tensor, n: int) -> None:
        unbiased = covariance * (n / max(n - 1, 1))  # as torch's batch norms keep it
        self.running_mean.lerp_(mean.to(self.running_mean), self.momentum)
        self.running_covariance.lerp_(unbiased.to(self.running_covariance), self.momentum)
        self.num_batches_tracked.add_(1)


class ComplexLeakyReLU(nn.LeakyReLU):
    """Leaky ReLU of the real and the imaginary part, each by itself, without parameters."""


class ComplexPReLU(nn.Module):
    """PReLU of the real and of the imaginary part, with a slope for each.

    Args:
        shared: One slope for both parts, as the original DCCRN has, under the name ``weight``.
    """

    def __init__(self, shared: bool = False) -> None:
        super().__init__()
        if shared:
            self.weight = nn.Parameter(torch.tensor([0.25]))
        else:
            self.re_module, self.im_module = nn.PReLU(), nn.PReLU()
        self.shared = shared

    def forward(self, x: Tensor) -> Tensor:
        """Apply to ``(batch, 2 * channels, ...)``."""
        if self.shared:
            return F.prelu(x, self.weight.to(x.dtype))
        parts = (self.re_module, self.im_module)
        slopes = torch.cat([part.weight.expand(x.shape[1] // 2) for part in parts])
        return F.prelu(x, slopes.to(x.dtype))
