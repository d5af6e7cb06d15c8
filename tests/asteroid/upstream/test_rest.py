"""What else of Asteroid is edited or stands on packages that moved on."""

import subprocess
import sys

import numpy as np
import pytest
import pytorch_lightning as pl
import soundfile as sf
import torch
from torch.utils.data import DataLoader, TensorDataset

from asteroid.dsp import LambdaOverlapAdd
from asteroid.engine import System, optimizers
from asteroid.losses import singlesrc_neg_sisdr
from asteroid.masknn.tac import TAC
from asteroid.metrics import get_metrics
from asteroid.models import ConvTasNet, FasNetTAC
from tests.data import make_mixture


def _loader():
    draw = torch.Generator().manual_seed(0)
    signals = torch.randn(4, 400, generator=draw)
    return DataLoader(TensorDataset(signals, 0.5 * signals), batch_size=2)


def _system(**options):
    network = torch.nn.Linear(400, 400)
    optimizer = torch.optim.Adam(network.parameters())
    loss = lambda estimate, target: singlesrc_neg_sisdr(estimate, target).mean()  # noqa: E731
    return System(network, optimizer, loss, _loader(), **options)


def _fit(system):
    trainer = pl.Trainer(
        max_epochs=1,
        logger=False,
        accelerator="cpu",
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(system)
    return trainer.callback_metrics


@pytest.mark.filterwarnings("ignore")
def test_system_trains_without_a_logger():
    assert _fit(_system(val_loader=_loader()))["val_loss"].isfinite()


@pytest.mark.filterwarnings("ignore")
def test_system_trains_without_a_validation_loader():
    assert "val_loss" not in _fit(_system())


def test_system_takes_a_configuration_that_holds_a_list_of_strings():
    hparams = _system(config={"sources": ["speech", "noise"], "sizes": [1, 2]}).hparams
    assert hparams["sources"] == "['speech', 'noise']"
    assert torch.equal(hparams["sizes"], torch.tensor([1, 2]))


@pytest.mark.parametrize(
    "name", [n for n in optimizers.__all__ if n not in ("make_optimizer", "get")]
)
@pytest.mark.filterwarnings("ignore")
def test_every_optimizer_makes_real_steps(name):
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(4, 3))
    options = {"lr": 1e-2}
    optimizer = optimizers.make_optimizer([weight], optimizer=name.lower(), **options)
    before = weight.detach().clone()
    for _ in range(8):
        optimizer.zero_grad()
        weight.square().sum().backward()
        optimizer.step()
    assert weight.isfinite().all()
    assert not torch.equal(weight, before)


@pytest.mark.filterwarnings("ignore")
def test_metrics_rate_two_estimates_better_than_the_mixture():
    mixture, speech, noise = make_mixture(1.0, n_mics=1)
    sources = np.concatenate([speech, noise])
    estimates = 0.9 * sources + 0.1 * mixture
    found = get_metrics(mixture, sources, estimates, metrics_list="all")
    for name in ("si_sdr", "sdr", "sir", "sar", "stoi", "pesq"):
        assert np.isfinite(found[name]), name
    for name in ("si_sdr", "sdr", "sir", "stoi", "pesq"):
        assert found[name] > found[f"input_{name}"], name


def test_separation_of_silence_is_silent_and_leaves_the_level_alone():
    network = ConvTasNet(n_src=2, n_blocks=1, n_repeats=1, bn_chan=4, hid_chan=4, skip_chan=4)
    network.eval()
    silence = torch.zeros(1, 1, 4000)
    assert network.separate(silence).isfinite().all()
    signal = torch.randn(1, 1, 4000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(network.separate(signal), network(signal))


@pytest.mark.parametrize("sample_rate", [16000, 8000])
def test_a_multichannel_file_reaches_a_multichannel_network_whole(tmp_path, sample_rate):
    seen = []

    class Watched(FasNetTAC):
        def forward(self, x, valid_mics=None):
            seen.append(tuple(x.shape[:2]))
            return super().forward(x, valid_mics)

    network = Watched(n_src=2, enc_dim=4, feature_dim=4, hidden_dim=4, n_layers=1, tac_hidden_dim=4)
    path = tmp_path / "four.wav"
    sf.write(path, np.random.default_rng(0).standard_normal((sample_rate, 4)) * 0.1, sample_rate)
    network.separate(str(path), resample=sample_rate != 16000)
    assert seen == [(1, 4)]
    estimate, rate = sf.read(tmp_path / "four_est1.wav")
    assert (len(estimate), rate) == (sample_rate, sample_rate)


def test_a_multichannel_file_gives_its_first_channel_to_a_network_that_takes_one(tmp_path):
    network = ConvTasNet(
        n_src=1, n_blocks=1, n_repeats=1, bn_chan=4, hid_chan=4, skip_chan=4, sample_rate=16000
    )
    path = tmp_path / "two.wav"
    sf.write(path, np.random.default_rng(0).standard_normal((4000, 2)) * 0.1, 16000)
    with pytest.warns(UserWarning, match="has 2 channels, the model takes one"):
        network.separate(str(path))
    assert sf.info(tmp_path / "two_est1.wav").channels == 1


def test_tac_with_a_fixed_geometry_averages_over_microphones():
    torch.manual_seed(0)
    module = TAC(4, hidden_dim=6)
    features = torch.randn(2, 3, 4, 5, 7)
    counted = module(features.clone(), torch.tensor([3, 3]))
    torch.testing.assert_close(module(features.clone(), torch.tensor([0, 0])), counted)


def test_overlap_add_reorders_sources_that_swap_between_chunks():
    times = torch.arange(16000) / 16000
    tones = torch.stack([torch.sin(2 * torch.pi * f * times) for f in (200.0, 900.0)])[None]
    calls = []

    def swapping(chunk):
        """Take the two tones apart, in another order every second time."""
        spectrum = torch.fft.rfft(chunk)
        cut = chunk.shape[-1] * 500 // 16000
        low = torch.fft.irfft(spectrum * (torch.arange(spectrum.shape[-1]) < cut), chunk.shape[-1])
        calls.append(1)
        sources = [low, chunk - low]
        return torch.stack(sources[:: -1 if len(calls) % 2 else 1], -2).reshape(1, 2, -1)

    ola = LambdaOverlapAdd(swapping, n_src=2, window_size=1600, reorder_chunks=True)
    found = ola(tones.sum(1, keepdim=True))[0, :, 3000:13000]
    shares = torch.corrcoef(torch.cat([found, tones[0, :, 3000:13000]]))[:2, 2:].abs()
    assert shares.amax(1).min() > 0.95, "each output holds one tone throughout"


def test_data_sets_import_without_librosa():
    code = "import sys; sys.modules['librosa'] = None; from asteroid.data import LibriMix"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nothing_heavy_is_imported_by_the_bare_package():
    code = "import sys, asteroid, asteroid.dsp, asteroid.utils; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"
