"""Every Asteroid loss on the pinned stack: finite value, finite gradient, what its edit mended."""

import pytest
import torch

from asteroid import losses
from tests.data import make_mixture

N_SAMPLES = 16000


@pytest.fixture(scope="module")
def sources():
    """Estimates and targets (2, 2, samples) of speech and noise."""
    pairs = [make_mixture(1.0, n_mics=1, seed=seed)[1:] for seed in range(2)]
    targets = torch.stack([torch.from_numpy(part[0]) for pair in pairs for part in pair])
    targets = targets.reshape(2, 2, N_SAMPLES)
    return 0.8 * targets + 0.1 * targets.flip(1), targets


def _power(signal):
    window = torch.hann_window(512).sqrt()
    return torch.stft(signal, 512, 256, window=window, return_complex=True).abs().square()


def _pmsqe(estimates, targets):
    loss = losses.SingleSrcPMSQE()
    return loss(_power(estimates[:, 0]), _power(targets[:, 0]))


LOSSES = {
    "singlesrc": lambda e, t: losses.singlesrc_neg_sisdr(e[:, 0], t[:, 0]),
    "multisrc": losses.multisrc_neg_sisdr,
    "pairwise": losses.pairwise_neg_sisdr,
    "pit": losses.PITLossWrapper(losses.pairwise_neg_sisdr, pit_from="pw_mtx"),
    "pit of single sources": losses.PITLossWrapper(losses.singlesrc_neg_snr, pit_from="pw_pt"),
    "pit of permutations": losses.PITLossWrapper(losses.multisrc_neg_sdsdr, pit_from="perm_avg"),
    "sinkpit": losses.SinkPITLossWrapper(losses.pairwise_neg_sisdr),
    "mixit": lambda e, t: losses.MixITLossWrapper(losses.multisrc_neg_sisdr)(
        torch.cat([e, e], 1), t
    ),
    "mse": losses.multisrc_mse,
    "multi-scale spectral": lambda e, t: losses.SingleSrcMultiScaleSpectral()(e[:, 0], t[:, 0]),
    "stoi": lambda e, t: losses.SingleSrcNegSTOI(sample_rate=16000)(e[:, 0], t[:, 0]),
    "pmsqe": _pmsqe,
    "deep clustering": lambda e, t: losses.deep_clustering_loss(
        e.reshape(2, 1600, 20), (t[:, 0, :1600].reshape(2, 40, 40) > 0).long()
    ),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_value_and_gradient_are_finite(name, sources):
    estimates, targets = sources
    estimates = estimates.clone().requires_grad_()
    value = LOSSES[name](estimates, targets)
    value.sum().backward()
    assert value.isfinite().all()
    assert estimates.grad.isfinite().all()
    assert estimates.grad.any()


@pytest.mark.parametrize("name", ["pit", "pit of single sources", "pit of permutations"])
def test_permuted_estimates_have_the_same_loss(name, sources):
    estimates, targets = sources
    torch.testing.assert_close(
        LOSSES[name](estimates, targets), LOSSES[name](estimates.flip(1), targets)
    )


@pytest.mark.parametrize("cls", ["SingleSrcNegSDR", "MultiSrcNegSDR"])
def test_eps_is_the_one_that_was_asked_for(cls, sources):
    from asteroid.losses import sdr

    targets = sources[1][:, 0] if cls == "SingleSrcNegSDR" else sources[1]
    loss = getattr(sdr, cls)("sisdr", EPS=1e-2)
    assert loss(0 * targets, targets).mean().item() == pytest.approx(20)  # -10 log10(EPS)
