"""A U-Net inside one stage of a U-Net: the unit of which NUNet-TLS and CNUNet are made."""

from __future__ import annotations

from torch import Tensor, nn

from asteroid.masknn.stream.state import StreamState

from .attention import ComplexTimeFreqAttention, TimeFreqAttention
from .conv import ConvNormAct, join
from .dense_block import DilatedDenseBlock

__all__ = ["NestedUnit"]


class NestedUnit(nn.Module):
    """Multi-scale features: a residual U-Net whose result is gated and added to its input.

    Args:
        n_in: Channels in.
        n_mid: Channels inside; even.
        n_out: Channels out.
        depth: Steps down, each of which halves the rows, and up again.
        parts: 1 for real, 2 for complex feature maps; channels are of one part.
        norm: Kind of normalisation.
        attention: Whether the result is gated.
        symmetric: Of :class:`ComplexTimeFreqAttention`.
        crossed: Whether each step down also gets the matching inner features of another unit (a
            skip connection of the second level).
        eps: Of the normalisations.
    """

    def __init__(
        self,
        n_in: int,
        n_mid: int,
        n_out: int,
        depth: int,
        parts: int,
        norm: str,
        *,
        attention: bool = True,
        symmetric: bool = False,
        crossed: bool = False,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.parts, twice = parts, 1 + crossed
        down_in = [n_out * (1 + crossed)] + [n_mid * twice] * (depth - 1)
        up_out = [n_mid] * (depth - 1) + [n_out]
        self.entry = ConvNormAct(n_in, n_out, parts, norm, kind="point", eps=eps)
        self.downs = nn.ModuleList(
            ConvNormAct(n, n_mid, parts, norm, kind="down", eps=eps) for n in down_in
        )
        self.dense = DilatedDenseBlock(n_mid, parts, norm, eps=eps)
        self.ups = nn.ModuleList(
            ConvNormAct(2 * n_mid, n, parts, norm, kind="up", eps=eps) for n in up_out
        )
        self.attention: nn.Module | None = None
        if attention and parts == 1:
            self.attention = TimeFreqAttention(n_out)
        elif attention:
            self.attention = ComplexTimeFreqAttention(n_out, symmetric=symmetric)

    def forward(
        self, x: Tensor, state: StreamState | None = None, crossing: list[Tensor] | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """Return the result and the outputs of the steps up, the last (most rows) first.

        Args:
            x: ``(batch, parts * n_in, freq, frames)``.
            state: Memory of a stream.
            crossing: Inner features of another unit of this depth, most rows first.
        """
        entry = self.entry(x, state)
        y, skips = entry, []
        for level, down in enumerate(self.downs):
            if crossing is not None:
                y = join([y, crossing[level]], self.parts)
            y = down(y, state)
            skips.append(y)
        y = self.dense(y, state)
        inner: list[Tensor] = []
        for up in self.ups:
            y = up(join([y, skips.pop()], self.parts), state)
            # Most rows first, as the steps down of the crossed unit take them.
            inner.insert(0, y)
        if self.attention is not None:
            y = self.attention(y, state)
        return y + entry, inner
