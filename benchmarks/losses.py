"""Speed and memory of the losses against the published ways of computing them.

First the frequency-weighted SI-SDR. Prints, for forward + backward of one batch: time (median and
minimum of interleaved runs), peak memory of the tensors alive, number of tensor operations (views
not counted), and their ratio to

* the published way, restated plainly here: the filter bank rebuilt row by row at every transform,
  a Python loop over the batch, float64;
* the floor: the STFTs that cannot be avoided, one with a gradient (the distortion) and one (two
  where the weighting looks at the noise) without.

Then the others: time of forward + backward, and its ratio to Asteroid's PMSQE, fed by Asteroid's
own STFT as its documentation says, or by torch.stft (``fft``), which is what ours saves beyond the
transform; and to a log-mel loss whose filters are made anew at every call, as published.

Example: ``python benchmarks/losses.py --batch 4 --seconds 4 --threads 2``.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from asteroid_filterbanks import STFTFB, Encoder
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from asteroid.dsp.bands import SKIRT_GAIN, band_table
from asteroid.losses import LOSSES, NegSISDRLoss, SingleSrcPMSQE, build_loss
from asteroid.losses.log_mel import mel_bank

SAMPLE_RATE = 16000
CASES = [
    ("critical", 18, "speech_norm"),
    ("critical", 18, "softmax_log"),
    ("critical", 25, "speech_norm"),
    ("mel", 18, "speech_norm"),
    ("mel", 18, "softmax_log"),
    ("linear", -1, "speech_norm"),
    ("linear", -1, "softmax_log"),
]
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


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
        bank, found = critical_bank(), []
        for signal in signals:
            spectrum = torch.stft(signal, n_fft, hop, window=window, return_complex=True).abs()
            found.append(bank.matmul(spectrum[:-1].to(torch.float64)))
        return torch.stack(found)

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


def ours(
    scale: str, n_bins: int, weighting: str, n_fft: int, hop: int, signals: list[Tensor]
) -> Loss:
    """This project's loss; its batch of targets is stacked beforehand, as by a data loader."""
    module = NegSISDRLoss(scale, n_fft, hop, n_bins, weighting).to(signals[0].device)
    targets = torch.stack(signals[1:], 1)
    return lambda estimate, speech, noise: module(estimate, targets)


def floor(needs_noise: bool, n_fft: int, hop: int, device: str) -> Loss:
    """Nothing but the STFTs that any such loss needs."""
    window = torch.hann_window(n_fft, device=device)

    def spectra(signal: Tensor) -> Tensor:
        return torch.stft(signal, n_fft, hop, window=window, return_complex=True)

    def loss(estimate: Tensor, speech: Tensor, noise: Tensor) -> Tensor:
        with torch.no_grad():
            spectra(torch.cat([speech, noise]) if needs_noise else speech)
        return torch.view_as_real(spectra(estimate)).sum()

    return loss


def asteroid_pmsqe(fft: bool, device: str) -> Loss:
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

    return lambda estimate, speech, noise: pmsqe(power(estimate), power(speech)).mean()


def plain_lms(device: str) -> Loss:
    """The log-mel loss with a transform per signal and its filters made at every call."""
    window = torch.hann_window(400, device=device)

    def logarithms(signal: Tensor, count: int) -> Tensor:
        frames = torch.nn.functional.pad(signal, (300, 300)).unfold(-1, 400, 100) * window
        spectrum = torch.fft.rfft(frames, n=512)
        magnitude = (spectrum.real.square() + spectrum.imag.square() + 1e-7).sqrt() / 512
        return (magnitude @ mel_bank(count, 512, SAMPLE_RATE).T.to(device) + 1e-7).log()

    def loss(estimate: Tensor, speech: Tensor, noise: Tensor) -> Tensor:
        distances = [
            ((logarithms(estimate, n) - logarithms(speech, n)).square().mean(-1) + 1e-7).sqrt()
            for n in (16, 32, 64)
        ]
        return torch.stack(distances).mean()

    return loss


def other(name: str, signals: list[Tensor]) -> Loss:
    """One of the project's other losses."""
    module = build_loss(name).to(signals[0].device)
    targets = torch.stack(signals[1:], 1)
    return lambda estimate, speech, noise: module(estimate, targets)


class CountOperations(TorchDispatchMode):
    """Count the tensor operations that compute something: no views, no bare allocations."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        result = func(*args, **(kwargs or {}))
        idle = func.is_view or func.overloadpacket.__name__ in ("empty_like", "_unsafe_view")
        self.count += isinstance(result, Tensor) and not idle
        return result


def step(loss: Loss, signals: list[Tensor]) -> None:
    """Forward and backward once."""
    signals[0].grad = None
    loss(*signals).backward()


def peak_bytes(loss: Loss, signals: list[Tensor]) -> int:
    """Most bytes of tensors alive during a step, beyond those before it."""
    if signals[0].is_cuda:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step(loss, signals)
        return torch.cuda.max_memory_allocated() - before
    with torch.profiler.profile(profile_memory=True) as profiler:
        step(loss, signals)
    now = peak = 0
    for event in profiler.profiler.kineto_results.events():  # type: ignore[union-attr]
        if event.name() == "[memory]":
            now += event.nbytes()
            peak = max(peak, now)
    return peak


def operations(loss: Loss, signals: list[Tensor]) -> int:
    """Number of tensor operations in a step."""
    with CountOperations() as counter:
        step(loss, signals)
    return counter.count


def times_ms(losses: dict[str, Loss], signals: list[Tensor], runs: int) -> dict[str, list[float]]:
    """Milliseconds of each loss's step; the losses take turns, so that load hits all alike."""
    found: dict[str, list[float]] = {name: [] for name in losses}
    for run in range(runs + 2):
        for name, loss in losses.items():
            start = time.perf_counter()
            step(loss, signals)
            if signals[0].is_cuda:
                torch.cuda.synchronize()
            if run >= 2:
                found[name].append(1000 * (time.perf_counter() - start))
    return found


def main() -> None:
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=4, help="utterances (default 4)")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each (default 4)")
    parser.add_argument("--n_fft", type=int, default=1024, help="samples (default 1024)")
    parser.add_argument("--hop_length", type=int, default=256, help="samples (default 256)")
    parser.add_argument("--runs", type=int, default=21, help="timed runs (default 21)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default 2)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")

    generator = torch.Generator().manual_seed(0)
    shape = (options.batch, int(options.seconds * SAMPLE_RATE))
    speech, noise = (0.1 * torch.randn(shape, generator=generator) for _ in range(2))
    signals = [(speech + 0.3 * noise), speech, noise]
    signals = [signal.to(options.device) for signal in signals]
    signals[0].requires_grad_()
    print(f"{options.batch} x {options.seconds:g} s, n_fft {options.n_fft}, {options.device}")
    print(
        f"{'scale, weighting':26}{'ours ms (min)':>16}{'published':>16}{'floor':>16}"
        f"{'faster':>8}{'/ floor':>9}{'MiB':>14}{'operations':>14}"
    )
    for scale, n_bins, weighting in CASES:
        setting = (scale, n_bins, weighting, options.n_fft, options.hop_length)
        losses = {"ours": ours(*setting, signals)}
        losses["floor"] = floor(weighting == "softmax_log", *setting[3:], options.device)
        if options.device == "cpu":
            losses["published"] = as_published(*setting)
        found = times_ms(losses, signals, options.runs)
        show(f"{scale} {n_bins if n_bins > 0 else ''} {weighting}", losses, found, signals)
    show_others(signals, options.runs)


def show_others(signals: list[Tensor], runs: int) -> None:
    """Print the times of the other losses, and of what some of them are compared with."""
    device = str(signals[0].device)
    losses = {name: other(name, signals) for name in LOSSES.names() if name != "neg_sisdr"}
    references = {
        "pmsqe": {
            "Asteroid": asteroid_pmsqe(False, device),
            "Asteroid, fft": asteroid_pmsqe(True, device),
        },
        "lms": {"filters made anew": plain_lms(device)},
    }
    print(f"\n{'loss':26}{'ours ms (min)':>16}   faster than")
    for name, ours_ in losses.items():
        compared = {"ours": ours_} | references.get(name, {})
        found = times_ms(compared, signals, runs)
        medians = {key: statistics.median(times) for key, times in found.items()}
        line = f"{name:26}{medians['ours']:>9.1f} ({min(found['ours']):.1f})   "
        line += ", ".join(
            f"{key} ({medians[key]:.1f} ms) {medians[key] / medians['ours']:.2f} times"
            for key in compared
            if key != "ours"
        )
        print(line)


def show(
    label: str, losses: dict[str, Loss], found: dict[str, list[float]], signals: list[Tensor]
) -> None:
    """Print one line of the table."""
    medians = {name: statistics.median(times) for name, times in found.items()}
    cell = {name: f"{medians[name]:.1f} ({min(times):.1f})" for name, times in found.items()}
    memory = {name: peak_bytes(loss, signals) / 2**20 for name, loss in losses.items()}
    count = {name: operations(loss, signals) for name, loss in losses.items()}
    published = "published" in losses
    print(
        f"{label:26}{cell['ours']:>16}{cell.get('published', '-'):>16}{cell['floor']:>16}"
        + (f"{medians['published'] / medians['ours']:>8.2f}" if published else f"{'-':>8}")
        + f"{medians['ours'] / medians['floor']:>9.2f}"
        + f"{memory['ours']:>7.1f}"
        + (f" /{memory['published']:5.1f}" if published else f"{'':>7}")
        + f"{count['ours']:>7}"
        + (f" /{count['published']:5}" if published else "")
    )


if __name__ == "__main__":
    main()
