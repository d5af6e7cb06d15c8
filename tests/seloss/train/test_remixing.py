from __future__ import annotations

import pytest
import torch

from seloss.train.options.recipe import DataConfig
from seloss.train.system.remix import augmentation, remix
from tests.seloss.train import tiny


def one_mic(n_items: int = 3):
    made = [item._replace(mixture=item.mixture[:1]) for item in tiny.items(n_items)]
    return tiny.batch(made)


def energy(signal: torch.Tensor) -> torch.Tensor:
    return signal.square().sum(-1)


def test_each_speech_keeps_its_snr_and_gets_another_s_noise():
    batch = one_mic()
    torch.manual_seed(1)  # deals 0, 1, 2 out as another order
    mixed = remix(batch)
    torch.testing.assert_close(mixed.sources[:, 0], batch.sources[:, 0])
    torch.testing.assert_close(energy(mixed.sources[:, 1]), energy(batch.sources[:, 1]))
    assert not torch.equal(mixed.sources[:, 1], batch.sources[:, 1])
    torch.testing.assert_close(mixed.mixture[:, 0], mixed.sources.sum(1))
    for row, length in enumerate(batch.lengths):
        assert not mixed.mixture[row, :, length:].any()
    noises = batch.sources[:, 1, :100]
    for dealt in mixed.sources[:, 1, :100]:  # a scaled copy of one of the batch
        cosines = torch.cosine_similarity(dealt[None], noises)
        assert float(cosines.max()) == pytest.approx(1, abs=1e-5)


def test_the_level_changes_within_its_limits_and_not_the_ratio():
    batch = one_mic()
    torch.manual_seed(2)
    mixed = remix(batch, gain_db=10)
    change = 10 * torch.log10(energy(mixed.sources) / energy(batch.sources))
    assert (change.abs() <= 10.001).all()
    torch.testing.assert_close(change[:, 0], change[:, 1])
    assert float(change.std()) > 0.5


def test_speech_and_noise_get_colours_of_their_own():
    batch = one_mic()
    torch.manual_seed(3)
    mixed = remix(batch, gain_db=10)
    torch.testing.assert_close(mixed.mixture[:, 0], mixed.sources.sum(1))
    scale = (energy(mixed.sources[:, 0]) / energy(batch.sources[:, 0])).sqrt()[:, None]
    ratio = torch.fft.rfft(mixed.sources[0, 0]) / torch.fft.rfft(scale[0] * batch.sources[0, 0])
    change_db = 20 * ratio.abs().log10()
    assert 1 < float(change_db.max() - change_db.min()) <= 20.1
    plain = remix(batch)
    torch.testing.assert_close(plain.sources[:, 0], batch.sources[:, 0])


def test_silence_stays_silent_and_the_batch_as_it_was():
    batch = one_mic()
    batch.sources[0, 1] = 0
    before = batch.sources.clone()
    mixed = remix(batch, gain_db=3)
    assert mixed.mixture.isfinite().all()
    assert not mixed.sources[0, 1].any()
    assert torch.equal(batch.sources, before)


def test_several_microphones_are_refused():
    with pytest.raises(ValueError, match=r"one microphone \(data.max_mics: 1\); got 2"):
        remix(tiny.batch(tiny.items(2)))


def test_the_options():
    assert augmentation(DataConfig()) is None
    assert augmentation(DataConfig(remix=True, gain_db=6)).keywords == {"gain_db": 6}
    with pytest.raises(ValueError, match="gain_db must be 0 or more; got -1"):
        DataConfig(remix=True, gain_db=-1)
    with pytest.raises(ValueError, match=r"with data\.remix: true only"):
        DataConfig(gain_db=3)
