"""A complex LSTM on real tensors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["ComplexLSTM"]


class _Recurrent(nn.Module):
    """Keeps the LSTM under the name ``rnn``, as Asteroid's checkpoints have it."""

    def __init__(self, n_in: int, n_hidden: int) -> None:
        super().__init__()
        self.rnn = nn.LSTM(n_in, n_hidden)


class _Layer(nn.Module):
    re_module: _Recurrent
    im_module: _Recurrent

    def __init__(self, n_in: int, n_hidden: int) -> None:
        super().__init__()
        self.re_module, self.im_module = (_Recurrent(n_in, n_hidden) for _ in range(2))


class ComplexLSTM(nn.Module):
    """Layers of two real LSTMs each, combined by the rule of complex multiplication.

    ``F(a + ib) = F_re(a) - F_im(b) + i(F_re(b) + F_im(a))`` in every layer, forward in
    time. Real and imaginary parts lie along the batch, so that a layer runs each of its LSTMs once,
    not twice. Parameters have the names of ``asteroid.complex_nn.ComplexSingleRNN``.

    Args:
        input_size: Complex features in.
        hidden_size: Complex features out.
        n_layers: Number of layers.
    """

    def __init__(self, input_size: int, hidden_size: int, n_layers: int = 1) -> None:
        super().__init__()
        self.output_size = hidden_size
        sizes = [input_size, *[hidden_size] * (n_layers - 1)]
        self.rnns = nn.ModuleList(_Layer(size, hidden_size) for size in sizes)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(frames, 2, batch, input_size)`` to ``(frames, 2, batch, hidden_size)``.

        The second dimension holds the real and the imaginary parts.
        """
        n_frames, _, n_batch, _ = x.shape
        for layer in self.rnns:
            assert isinstance(layer, _Layer)
            rows = x.flatten(1, 2)
            of_re, of_im = (
                module.rnn(rows)[0].view(n_frames, 2, n_batch, -1)
                for module in (layer.re_module, layer.im_module)
            )
            # Rows 0 hold the real parts that went in, rows 1 the imaginary ones.
            re = of_re[:, 0] - of_im[:, 1]
            x = torch.stack([re, of_re[:, 1] + of_im[:, 0]], dim=1)
        return x
