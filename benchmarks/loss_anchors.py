"""Anchors of the losses: the published ways of computing, and bare STFTs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from asteroid_filterbanks import STFTFB, Encoder
from torch import Tensor

from asteroid.dsp.bands import SKIRT_GAIN, band_table
from asteroid.losses import SingleSrcPMSQE
from asteroid.losses.log_mel import mel_bank as log_mel_bank

__all__ = [
    "SAMPLE_RATE",
    "Loss",
    "Transform",
    "as_published",
    "asteroid_pmsqe",
    "bare_stfts",
    "plain_lms",
]

SAMPLE_RATE = 16000
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


class Transform(NamedTuple):
    """A short-time transform that a loss needs of the estimate, with a gradient.

    ``still``: how many signals need it without one.
    """

    n_fft: int
    hop_length: int
    win_length: int
    still: int = 1


def bare_stfts(transforms: Sequence[Transform], device: torch.device) -> Loss:
    """Nothing but the STFTs that a loss cannot do without, by torch.stft and autograd."""
    windows = [torch.hann_window(transform.win_length, device=device) for transform in transforms]

    def loss(estimate: Tensor, speech: Tensor, noise: Tensor) -> Tensor:
        total = estimate.new_zeros(())
        for (n_fft, hop, length, still), window in zip(transforms, windows, strict=True):

            def spectra(signal: Tensor) -> Tensor:
                return torch.stft(signal, n_fft, hop, length, window, return_complex=True)  # noqa: B023

            with torch.no_grad():
                if still:
                    spectra(torch.cat([speech, noise][:still]))
            total = total + torch.view_as_real(spectra(estimate)).sum()
        return total

    return loss


def as_published(scale: str, n_bins: int, weighting: str, n_fft: int, hop: int) -> Loss:
    """The published way of computing, restated; nothing is kept from one call to the next."""

    def critical_bank() -> Tensor:
        table = band_table({18: "third_octave_18", 25: "quackenbush_25"}[n_bins])
        bank = torch.zeros(n_bins, n_fft // 2, dtype=torch.float64)
        bins = torch.arange(n_fft // 2, dtype=torch.float64)
        first = torch.tensor(table.bandwidths_hz[0], dtype=torch.float64)
        for k in range(n_bins):
            centre = torch.tensor(table.centres_hz[k] / SAMPLE_RATE * n_fft, dtype=torch.float64)
            width = torch.tensor(table.bandwidths_hz[k], dtype=torch.float64)
            shape = ((bins - torch.floor(centre)) / (width / SAMPLE_RATE * n_fft)) ** 2
            bank[k] = torch.exp(-11 * shape + torch.log(first) - torch.log(width))
            bank[k] = bank[k] * (bank[k] > SKIRT_GAIN)
        return bank

    def mel_bank() -> Tensor:
        mels = torch.linspace(0, 2595 * math.log10(1 + SAMPLE_RATE / 1400), n_bins + 2)
        edges = 700 * (10 ** (mels / 2595) - 1)
        bins = torch.linspace(0, SAMPLE_RATE / 2, n_fft // 2 + 1)
        slopes = edges[None] - bins[:, None]
        widths = edges[1:] - edges[:-1]
        down, up = -slopes[:, :-2] / widths[:-1], slopes[:, 2:] / widths[1:]
        return torch.minimum(down, up).clamp_min(0).T

    def bands(signals: Tensor) -> Tensor:
        window = None if scale == "linear" else torch.hann_window(n_fft)
        if scale != "critical":
            spectra = torch.stft(signals, n_fft, hop, window=window, return_complex=True).abs()
            return spectra if scale == "linear" else mel_bank() @ spectra
        bank, values = critical_bank(), []
        for signal in signals:
            spectrum = torch.stft(signal, n_fft, hop, window=window, return_complex=True).abs()
            values.append(bank.matmul(spectrum[:-1].to(torch.float64)))
        return torch.stack(values)

    def loss(estimate: Tensor, speech: Tensor, noise: Tensor) -> Tensor:
        estimate, speech, noise = (x - x.mean(-1, keepdim=True) for x in (estimate, speech, noise))
        dot = (estimate * speech).sum(-1, keepdim=True)
        part = dot * speech / ((speech**2).sum(-1, keepdim=True) + 1e-8)
        target, distortion = bands(part), bands(estimate - part)
        s, n = bands(speech), bands(noise)
        if weighting == "speech_norm":
            weights = s**0.2
        else:
            snr = (s**2).mean(-1) / ((n**2).mean(-1) + 1e-8)
            weights = torch.softmax(-torch.log10(snr + 1e-8), 1)[..., None].expand_as(s)
        numerator, denominator = (weights * x**2 for x in (target, distortion))
        ratio = numerator.sum((1, 2)) / (denominator.sum((1, 2)) + 1e-8)
        return -torch.clamp(10 * torch.log10(ratio + 1e-8), -10, 35).mean()

    return loss


def asteroid_pmsqe(fft: bool, device: torch.device) -> Loss:
    """Asteroid's PMSQE on power spectra by its own STFT, a convolution, or by torch.stft."""
    pmsqe = SingleSrcPMSQE().to(device)
    encoder = Encoder(STFTFB(kernel_size=512, n_filters=512, stride=256)).to(device)
    window = torch.hann_window(512, device=device).sqrt()

    def power(signal: Tensor) -> Tensor:
        if fft:
            spectrum = torch.stft(
                signal, 512, 256, window=window, center=False, return_complex=True
            )
            powers: Tensor = spectrum.abs().square()
        else:
            real, imaginary = encoder(signal[:, None]).chunk(2, 1)
            powers = real.square() + imaginary.square()
        return powers.transpose(1, 2)

    def loss(estimate: Tensor, speech: Tensor, noise: Tensor) -> Tensor:
        value: Tensor = pmsqe(power(estimate), power(speech)).mean()
        return value

    return loss


def plain_lms(device: torch.device) -> Loss:
    """The log-mel loss with a transform per signal and its filters made at every call."""
    window = torch.hann_window(400, device=device)

    def logarithms(signal: Tensor, count: int) -> Tensor:
        frames = torch.nn.functional.pad(signal, (300, 300)).unfold(-1, 400, 100) * window
        spectrum = torch.fft.rfft(frames, n=512)
        magnitude = (spectrum.real.square() + spectrum.imag.square() + 1e-7).sqrt() / 512
        bank = log_mel_bank(count, 512, SAMPLE_RATE).T.to(device)
        levels: Tensor = (magnitude @ bank + 1e-7).log()
        return levels

    def loss(estimate: Tensor, speech: Tensor, noise: Tensor) -> Tensor:
        distances = [
            ((logarithms(estimate, n) - logarithms(speech, n)).square().mean(-1) + 1e-7).sqrt()
            for n in (16, 32, 64)
        ]
        return torch.stack(distances).mean()

    return loss
