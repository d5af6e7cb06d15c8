"""The dual-path recurrent block on channels-last features."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from asteroid.utils.fast_path import on_fast_path
from asteroid.utils.registry import check_choice

from .channels_last import build_norm, normalise

__all__ = ["DualPathBlock"]

_RNNS = {"RNN": nn.RNN, "LSTM": nn.LSTM, "GRU": nn.GRU}


class _Recurrent(nn.Module):
    """Keeps the RNN under the name ``rnn``, as published checkpoints have it."""

    def __init__(self, rnn_type: str, n_in: int, n_hidden: int, bidirectional: bool) -> None:
        super().__init__()
        self.rnn = _RNNS[rnn_type](n_in, n_hidden, bidirectional=bidirectional)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.rnn(x)[0]
        return y


class DualPathBlock(nn.Module):
    """An RNN along each chunk, then one across the chunks, each projected, normalised and added.

    Same computation and parameter names as :class:`asteroid.masknn.recurrent.DPRNNBlock`; features
    stay channels-last, and the RNNs run time-major, which spares most of the copies.

    Args:
        n_features: Channels.
        n_hidden: Neurons of the RNNs in each direction.
        norm_type: ``gLN``, ``cLN``, ``fgLN`` or ``bN``.
        bidirectional: Whether the RNN across chunks runs in both directions; the one along a chunk
            always does.
        rnn_type: ``RNN``, ``LSTM`` or ``GRU``.
        dropout: Probability of dropping an output of an RNN while training.

    Raises:
        ValueError: ``rnn_type``, ``norm_type`` or ``dropout`` is none of the above.

    Source: Luo et al., "Dual-path RNN: efficient long sequence modeling for time-domain
        single-channel speech separation", ICASSP 2020.
    """

    def __init__(
        self,
        n_features: int,
        n_hidden: int,
        norm_type: str = "gLN",
        bidirectional: bool = True,
        rnn_type: str = "LSTM",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        kind = str(rnn_type).upper()
        check_choice("rnn_type", kind, _RNNS)
        if not 0 <= dropout <= 1:
            raise ValueError(f"dropout must lie in [0, 1]; got {dropout}")
        self.dropout = dropout
        self.intra_RNN = _Recurrent(kind, n_features, n_hidden, True)
        self.inter_RNN = _Recurrent(kind, n_features, n_hidden, bool(bidirectional))
        self.intra_linear = nn.Linear(2 * n_hidden, n_features)
        self.intra_norm = build_norm(norm_type, n_features)
        self.inter_linear = nn.Linear((2 if bidirectional else 1) * n_hidden, n_features)
        self.inter_norm = build_norm(norm_type, n_features)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(rows, chunk, chunks, features)`` to the same shape."""
        x = x + normalise(self.intra_norm, self._along(1, x, self.intra_RNN, self.intra_linear))
        return x + normalise(self.inter_norm, self._along(2, x, self.inter_RNN, self.inter_linear))

    def _along(self, time: int, x: Tensor, rnn: _Recurrent, linear: nn.Linear) -> Tensor:
        steps = x.movedim(time, 0)
        # Time first, all else is batch.
        flat = steps.flatten(1, 2)
        drops = self.training and self.dropout > 0
        if type(rnn.rnn) is nn.LSTM and on_fast_path(x, linear.weight) and not drops:
            y = _project_each(flat, rnn.rnn, linear)
        else:
            y = linear(F.dropout(rnn(flat), self.dropout, self.training))
        features: Tensor = y.view(steps.shape)
        return features.movedim(0, time)


def _project_each(x: Tensor, rnn: nn.LSTM, linear: nn.Linear) -> Tensor:
    """Return ``linear(rnn(x)[0])`` without ever joining the outputs of the two directions.

    They would be kept for the backward pass a second time, and their gradient cut up by copies.
    Flipping features, before the layer and behind the projection, moves less.
    """
    state = x.new_zeros(1, x.shape[1], rnn.hidden_size)
    shares = linear.weight.chunk(len(rnn.all_weights), dim=1)
    y: Tensor = linear.bias
    for number, (weights, share) in enumerate(zip(rnn.all_weights, shares, strict=True)):
        # Direction 1 runs backwards in time.
        steps = x.flip(0) if number else x
        hidden = torch.lstm(
            steps, (state, state), tuple(weights), True, 1, 0.0, rnn.training, False, False
        )[0]
        of_direction = F.linear(hidden, share)
        y = y + (of_direction.flip(0) if number else of_direction)
    return y
