"""What the tests of the losses share: every loss of the project, and signals to judge."""

import warnings

import torch

from asteroid.losses import build_loss
from asteroid.losses.weightings import WEIGHTINGS

SCALES = [("linear", -1), ("mel", 18), ("critical", 18), ("critical", 21), ("critical", 25)]
N_FFT, HOP_LENGTH = 256, 64

EVERY_LOSS = [("xp1", {})]
EVERY_LOSS += [
    ("neg_sisdr", {"scale": scale, "n_bins": n_bins, "weights_type": weights_type})
    for scale, n_bins in SCALES
    for weights_type in WEIGHTINGS.names()
]
EVERY_LOSS += [
    ("mse", {}),
    ("mse_spectrum", {"n_fft": N_FFT, "hop_length": HOP_LENGTH}),
    ("si_snr", {}),
    ("sdr", {}),
    ("weighted_sdr", {}),
    ("lms", {}),
    ("pmsqe", {}),
    ("pmsqe", {"sample_rate": 8000}),
    ("multi_scale_stft", {"n_ffts": (512, 128, 64)}),
    ("compressed_spectrum", {}),
]
NEW_LOSSES = EVERY_LOSS[-10:]
#: What changes nothing: the level of the estimate alone, or of the whole recording.
ESTIMATE_LEVEL_BLIND = {"xp1", "neg_sisdr", "si_snr", "pmsqe"}
RECORDING_LEVEL_BLIND = {*ESTIMATE_LEVEL_BLIND, "sdr", "weighted_sdr"}


def label(loss):
    name, options = loss
    return "-".join([name, *map(str, options.values())])


def make_loss(loss, **more):
    """Build a loss with short transforms, without the warning of the 25 bands."""
    name, options = loss
    if name == "neg_sisdr":
        more = {"n_fft": N_FFT, "hop_length": HOP_LENGTH, **more}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return build_loss(name, **options, **more)


def make_signals(batch=2, n_samples=2000, noise_gain=0.5, seed=0, dtype=torch.float64):
    """Return est_targets and targets, both (batch, 2, samples): coloured noises with envelopes."""
    generator = torch.Generator().manual_seed(seed)
    draw = torch.randn(3, batch, n_samples + 8, generator=generator, dtype=torch.float64)
    speech = 0.1 * draw[0].unfold(-1, 9, 1).mean(-1)
    times = torch.arange(n_samples, dtype=torch.float64)
    speech = speech * (0.55 + 0.45 * torch.sin(times / 150))
    noise = 0.1 * noise_gain * (draw[1, :, 8:] - 0.7 * draw[1, :, 7:-1])
    rest = 0.01 * draw[2, :, 8:]
    targets = torch.stack([speech, noise], 1)
    est_targets = torch.stack([0.8 * speech + 0.3 * noise + rest, noise], 1)
    return est_targets.to(dtype), targets.to(dtype)
