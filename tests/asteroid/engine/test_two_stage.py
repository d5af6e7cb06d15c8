"""Both stages train on real embeddings of a tiny corpus, and refuse what does not fit."""

from __future__ import annotations

import pytest
import pytorch_lightning as pl
import torch

from asteroid.data import open_dataset
from asteroid.data.feature_dataset import FeatureDataset
from asteroid.data.feature_fill import fill_store
from asteroid.data.feature_store import FeatureStore
from asteroid.data.sampling import build_loader
from asteroid.embeddings import DistilledXlsr, align
from asteroid.engine.config import OptimConfig
from asteroid.engine.two_stage import (
    EmbeddedSystem,
    LatentSystem,
    check_embedding_size,
    freeze,
    load_weights,
)
from asteroid.losses.compressed_spectrum import CompressedSpectrumLoss
from asteroid.models import BaseModel, CNUNet
from asteroid.models.embedded import EmbeddedCNUNet
from tests.data import make_manifest

TINY = {"channels": 4, "inner_channels": 2, "depths": (3, 2), "win_length": 128}
TINY |= {"hop_length": 64, "n_fft": 128}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return open_dataset(
        make_manifest(folder, n_items=3, n_mics=1, seconds=[0.4, 0.3]), sample_rate=16000
    )


@pytest.fixture(scope="module")
def embedded(dataset, tmp_path_factory):
    """Embeddings of the noisy signals in a store, and the data set that hands them out."""
    embedder = DistilledXlsr()
    store = FeatureStore(tmp_path_factory.mktemp("embeddings"), embedder.describe())
    fill_store(store, dataset, embedder.embed, bytes_of=lambda n: 8 * 200 * 4 * -(-n // 320))
    frames = CNUNet(**TINY)

    def cut(stored, start, count):
        times = frames.frame_times(start + count)[start:]
        return align(stored, embedder.times(stored.shape[1] * 320), times).transpose(1, 2)

    return FeatureDataset(
        dataset, store, cut, count_frames=frames.n_frames, hop_length=64, segment_s=0.25
    )


def fit(system, data, epochs=3):
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(system, build_loader(data, 2, shuffle=True), build_loader(data, 1, shuffle=False))
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


@pytest.fixture(scope="module")
def stage1(embedded):
    torch.manual_seed(0)
    network = EmbeddedCNUNet(8, 200, **TINY)
    loss = CompressedSpectrumLoss(win_length=128, hop_length=64, reduction="none")
    start = network.mix.logits.detach().clone()
    logged = fit(EmbeddedSystem(network, loss, optim=OptimConfig(lr=5e-3)), embedded)
    assert (network.mix.logits.detach() - start).abs().max() > 0  # the layers' weights are learnt
    return network.eval(), logged


@pytest.fixture(scope="module")
def latents(dataset, embedded, stage1, tmp_path_factory):
    network, _ = stage1
    store = FeatureStore(tmp_path_factory.mktemp("latents"), {"stage1": "tiny"})
    whole = FeatureDataset(
        dataset,
        embedded.store,
        embedded.cut,
        count_frames=network.n_frames,
        hop_length=64,
    )
    layers = {i: whole[i].features for i in range(3)}
    order = iter(layers.values())

    @torch.no_grad()
    def compute(signal):
        return network.analyse(signal[None], next(order)[None])[1][0]

    fill_store(store, dataset, compute, bytes_of=lambda n: 8 * 8 * 4 * network.n_frames(n))
    return FeatureDataset(
        dataset,
        store,
        lambda stored, start, count: stored[..., start : start + count],
        count_frames=network.n_frames,
        hop_length=64,
        segment_s=0.25,
    )


def test_stage_one_trains_with_embeddings_of_a_real_model(stage1):
    _, logged = stage1
    assert 0 < logged["val/loss"] < 1
    assert logged["train/loss"] > 0


def test_embeddings_change_what_stage_one_does(stage1, embedded):
    network, _ = stage1
    item = embedded[0]
    with torch.no_grad():
        given = network(item.mixture[None], item.features[None])
        other = network(item.mixture[None], torch.zeros_like(item.features[None]))
    assert (given - other).abs().max() > 1e-5 * given.abs().max()


def test_stage_one_package_rebuilds_the_network(stage1, embedded):
    network, _ = stage1
    again = BaseModel.from_pretrained(network.serialize()).eval()
    item = embedded[0]
    with torch.no_grad():
        ours = network(item.mixture[None], item.features[None])
        assert torch.equal(again(item.mixture[None], item.features[None]), ours)


def test_stage_one_makes_embeddings_itself_when_it_knows_how(stage1, embedded, dataset):
    network, _ = stage1
    whole = FeatureDataset(
        dataset, embedded.store, embedded.cut, count_frames=network.n_frames, hop_length=64
    )[0]
    knowing = EmbeddedCNUNet(8, 200, embedder="distilled_xlsr", **TINY).eval()
    knowing.load_state_dict(network.state_dict())
    with torch.no_grad():
        stored = network(whole.mixture[None], whole.features[None])
        assert torch.allclose(knowing(whole.mixture[None]), stored, atol=1e-6)
    again = BaseModel.from_pretrained(knowing.serialize())
    assert again.get_model_args() == knowing.get_model_args()
    assert set(again.state_dict()) == set(network.state_dict())
    with pytest.raises(ValueError, match="knows no embedder"):
        network(whole.mixture[None])
    with pytest.raises(ValueError, match=r"clean speech \(oracle\)"):
        EmbeddedCNUNet(8, 200, embedder="distilled_xlsr", oracle=True, **TINY)(whole.mixture)


def test_latents_of_an_excerpt_are_those_of_its_frames(latents):
    item = latents[(1, 0)]
    assert item.features.shape == (8, 16, CNUNet(**TINY).n_frames(4000))


def test_stage_two_draws_the_latents_to_the_stored_ones(stage1, latents):
    torch.manual_seed(1)
    network = CNUNet(**TINY)
    left = load_weights(network, stage1[0].serialize())
    assert all("fusion" in name or "mix" in name for name in left)
    loss = CompressedSpectrumLoss(win_length=128, hop_length=64, reduction="none")
    options = {"latent_weight": 1.0, "optim": OptimConfig(lr=5e-3)}
    system = LatentSystem(network, loss, **options)
    first = fit(system, latents, epochs=1)
    logged = fit(system, latents, epochs=6)
    total = logged["val/loss_signal"] + logged["val/loss_latent"]
    assert logged["val/loss"] == pytest.approx(total, rel=1e-5)
    assert logged["val/loss_latent"] < first["val/loss_latent"]
    assert logged["train/loss_latent"] > 0


def test_parts_can_be_frozen_by_name():
    network = CNUNet(**TINY)
    frozen = freeze(network, ["decoders.mask", "entry"])
    assert frozen == sum(p.numel() for p in network.parameters() if not p.requires_grad)
    assert not any(p.requires_grad for p in network.decoders["mask"].parameters())
    assert all(p.requires_grad for p in network.decoders["spectrum"].parameters())
    with pytest.raises(ValueError, match="no part 'decoder' to freeze; it has"):
        freeze(network, ["decoder"])
    everything = [name for name, _ in network.named_children()]
    with pytest.raises(ValueError, match="nothing is left to train"):
        freeze(CNUNet(**TINY), [n for n in everything if n not in ("stft", "level")])


def test_what_does_not_fit_is_refused():
    check_embedding_size(EmbeddedCNUNet(8, 200, **TINY), 200)
    with pytest.raises(ValueError, match="for embeddings of size 200, the embedder gives 1024"):
        check_embedding_size(EmbeddedCNUNet(8, 200, **TINY), 1024)
    with pytest.raises(ValueError, match="do not fit this network"):
        load_weights(CNUNet(**{**TINY, "channels": 6}), CNUNet(**TINY).serialize())
    with pytest.raises(ValueError, match="latent_weight must not be negative"):
        LatentSystem(CNUNet(**TINY), CompressedSpectrumLoss(), latent_weight=-1.0)
