"""Frequency scales: how the bins of a magnitude spectrum are gathered into bands.

A scale maps STFT magnitudes ``(batch, freq, frames)`` to band values ``(batch, bands, frames)``:
the weighted sum of *magnitudes*, so that the energy of a band is ``(sum_j H_kj |X_j|)^2``.
"""

from __future__ import annotations

import csv
import math
import warnings
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from asteroid.utils.registry import Registry

__all__ = ["SCALES", "BandTable", "Scale", "band_table", "build_scale", "gaussian_filters"]

# A filter's skirt ends where its gain, after the bandwidth normalisation, falls to this: inherited
# from the WSS and fwSNRseg codes (Pellom and Hansen 1998), there called "-30 dB"; it is -56.6 dB.
SKIRT_GAIN = math.exp(-30 / (2 * 2.303))
COVERED_SHARE = 0.9  # a bank that ends below this share of the Nyquist frequency is warned about

_TABLES = {18: "third_octave_18", 21: "critical_21", 25: "quackenbush_25"}


class BandTable(NamedTuple):
    """Bands of one standard, low to high; ``importance`` has no unit, the others are in Hz."""

    centres_hz: tuple[float, ...]
    bandwidths_hz: tuple[float, ...]
    importance: tuple[float, ...]


@cache
def band_table(name: str) -> BandTable:
    """Read one of the tables in ``dsp/tables``; its first line says where it is from.

    Args:
        name: ``third_octave_18``, ``critical_21``, ``critical_21_published`` or
            ``quackenbush_25``.
    """
    text = (files(__package__) / "tables" / f"{name}.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()[1:]))
    columns = ("centre_hz", "bandwidth_hz", "importance")
    return BandTable(*(tuple(float(row[column]) for row in rows) for column in columns))


def _extend(table: BandTable, nyquist_hz: float) -> BandTable:
    """Continue a table up to the Nyquist frequency.

    The next centre is centre + bandwidth, as in the 25 bands; widths grow by the last ratio.
    """
    centres, widths = list(table.centres_hz), list(table.bandwidths_hz)
    ratio = widths[-1] / widths[-2]
    while centres[-1] + widths[-1] < nyquist_hz:
        centres.append(centres[-1] + widths[-1])
        widths.append(widths[-1] * ratio)
    return BandTable(tuple(centres), tuple(widths), importance_at(centres, widths))


def importance_at(centres_hz: list[float], bandwidths_hz: list[float]) -> tuple[float, ...]:
    """Importance of arbitrary bands for speech understanding, summing to 1.

    The importance per Hz of the 21 critical bands of ANSI S3.5-1997 is interpolated over
    frequency (held below the first and beyond the last centre) and multiplied by the bandwidths.
    """
    table = band_table("critical_21")
    density = np.divide(table.importance, table.bandwidths_hz)
    values = np.interp(centres_hz, table.centres_hz, density) * np.asarray(bandwidths_hz)
    return tuple((values / values.sum()).tolist())


class Scale(nn.Module):
    """A filter bank over STFT magnitudes, with what weightings need to know of its bands.

    Args:
        filters: ``(bands, n_fft // 2 + 1)``, or None to keep the bins as they are.
        centres_hz: Centre of each band, Hz.
        bandwidths_hz: Width of each band, Hz.
        importance: Importance of each band for speech understanding.
    """

    filters: Tensor | None
    centres_hz: Tensor
    bandwidths_hz: Tensor
    importance: Tensor

    def __init__(
        self,
        filters: Tensor | None,
        centres_hz: Tensor,
        bandwidths_hz: Tensor,
        importance: Tensor,
    ) -> None:
        super().__init__()
        filters = None if filters is None else filters.float()
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("centres_hz", centres_hz.float(), persistent=False)
        self.register_buffer("bandwidths_hz", bandwidths_hz.float(), persistent=False)
        self.register_buffer("importance", importance.float(), persistent=False)

    @property
    def n_bands(self) -> int:
        """Number of bands."""
        return self.centres_hz.shape[0]

    def forward(self, magnitude: Tensor) -> Tensor:
        """Map magnitudes ``(batch, freq, frames)`` to band values ``(batch, bands, frames)``."""
        if self.filters is None:
            return magnitude
        filters = self.filters.to(magnitude)
        return torch.bmm(filters.expand(magnitude.shape[0], -1, -1), magnitude)


SCALES: Registry[Callable[..., Scale]] = Registry("scale")


def build_scale(
    name: str,
    *,
    n_fft: int = 1024,
    sample_rate: float = 16000,
    n_bins: int | None = None,
    **options: object,
) -> Scale:
    """Build a frequency scale.

    Args:
        name: ``linear`` (the STFT's bins), ``mel`` (HTK triangles) or ``critical`` (Gaussian
            critical-band filters).
        n_fft: Transform length in samples.
        sample_rate: Hz.
        n_bins: Number of bands; ``None`` or -1 takes the scale's default.
        options: Further arguments of the scale.

    Raises:
        ValueError: Unknown name, or a number of bands the scale does not have.
    """
    return SCALES.get(name)(n_fft=n_fft, sample_rate=sample_rate, n_bins=n_bins, **options)


@SCALES.register("linear")
class LinearScale(Scale):
    """The bins of the STFT as they are; ``n_bins`` must be left out, -1 or ``n_fft // 2 + 1``."""

    def __init__(self, *, n_fft: int, sample_rate: float, n_bins: int | None = None) -> None:
        bins = n_fft // 2 + 1
        # 18, 21 and 25 were always passed along by the published commands, and had no effect.
        if n_bins not in (None, -1, bins, *_TABLES):
            raise ValueError(
                f"the linear scale has n_fft // 2 + 1 = {bins} bands: leave n_bins out; "
                f"got {n_bins}"
            )
        centres = torch.linspace(0, sample_rate / 2, bins, dtype=torch.float64)
        widths = torch.full_like(centres, sample_rate / n_fft)
        importance = importance_at(centres.tolist(), widths.tolist())
        super().__init__(None, centres, widths, torch.tensor(importance))


@SCALES.register("mel")
class MelScale(Scale):
    """HTK mel triangles from 0 Hz to the Nyquist frequency, each with a peak of 1.

    Source: Young et al., The HTK Book: mel = 2595 log10(1 + f / 700 Hz).
    """

    def __init__(self, *, n_fft: int, sample_rate: float, n_bins: int | None = None) -> None:
        n_bands = 18 if n_bins in (None, -1) else int(n_bins or 0)
        if not 1 <= n_bands <= n_fft // 4:
            raise ValueError(
                f"the mel scale takes n_bins from 1 to n_fft // 4 = {n_fft // 4}; got {n_bins}"
            )
        top_mel = 2595 * math.log10(1 + sample_rate / 2 / 700)
        mels = torch.linspace(0, top_mel, n_bands + 2, dtype=torch.float64)
        edges = 700 * (10 ** (mels / 2595) - 1)
        low, centres, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
        bins = torch.linspace(0, sample_rate / 2, n_fft // 2 + 1, dtype=torch.float64)
        rising, falling = (bins - low) / (centres - low), (high - bins) / (high - centres)
        filters = torch.minimum(rising, falling).clamp_min(0)
        widths = (high - low)[:, 0] / 2  # of a rectangle with the triangle's area
        importance = importance_at(centres[:, 0].tolist(), widths.tolist())
        super().__init__(filters, centres[:, 0], widths, torch.tensor(importance))


def gaussian_filters(table: BandTable, n_fft: int, sample_rate: float) -> Tensor:
    """Gaussian critical-band filters of equal area, ``(bands, n_fft // 2 + 1)``, float64.

    ``H_kj = (bw_0 / bw_k) exp(-11 ((j - floor(c_k)) / b_k)^2)`` over the bins j, with centre and
    bandwidth in bins, set to 0 where it falls to ``SKIRT_GAIN``; the Nyquist bin is left out.

    Source: fwSNRseg in Hu and Loizou, IEEE TASLP 16(1), 2008, after Pellom and Hansen, 1998.
    """
    centres = torch.tensor(table.centres_hz, dtype=torch.float64)[:, None] * n_fft / sample_rate
    widths = torch.tensor(table.bandwidths_hz, dtype=torch.float64)[:, None] * n_fft / sample_rate
    bins = torch.arange(n_fft // 2 + 1, dtype=torch.float64)
    filters = widths[0] / widths * torch.exp(-11 * ((bins - centres.floor()) / widths) ** 2)
    filters[filters <= SKIRT_GAIN] = 0
    filters[:, -1] = 0  # as in the published code, whose banks have n_fft // 2 columns
    return filters


@SCALES.register("critical")
class CriticalScale(Scale):
    """Gaussian critical-band filters.

    Args:
        n_fft: Transform length in samples.
        sample_rate: Hz.
        n_bins: 18 (third octaves, ANSI S3.5-1997 Table 3; the default), 21 (critical bands,
            Table 1) or 25 (telephone-band critical bands, which end at 3.8 kHz).
        extend: Continue the 25 bands up to the Nyquist frequency; importance is then the
            standard's, interpolated.
        published_table: Use the 21 bands as published with arXiv 2506.18714.
    """

    def __init__(
        self,
        *,
        n_fft: int,
        sample_rate: float,
        n_bins: int | None = None,
        extend: bool = False,
        published_table: bool = False,
    ) -> None:
        n_bands = 18 if n_bins in (None, -1) else n_bins
        if n_bands not in _TABLES:
            sizes = ", ".join(map(str, _TABLES))
            raise ValueError(f"the critical scale takes n_bins of {sizes}; got {n_bins}")
        name = _TABLES[n_bands] + ("_published" if published_table and n_bands == 21 else "")
        table = band_table(name)
        if extend and n_bands == 25:
            table = _extend(table, sample_rate / 2)
        top_hz = table.centres_hz[-1] + table.bandwidths_hz[-1] / 2
        if top_hz < COVERED_SHARE * sample_rate / 2:
            advice = "n_bins=21 or extend=True" if n_bands == 25 else 'scale="mel"'
            warnings.warn(
                f"the {n_bands} critical bands end at {top_hz:.0f} Hz: nothing above is seen at a "
                f"sample rate of {sample_rate:g} Hz. Take {advice}.",
                stacklevel=3,
            )
        filters = gaussian_filters(table, n_fft, sample_rate)
        super().__init__(filters, *(torch.tensor(column) for column in table))
