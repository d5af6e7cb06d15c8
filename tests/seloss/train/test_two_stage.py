"""Both stages train on real embeddings of a tiny corpus, and refuse what does not fit."""

from __future__ import annotations

import pytest
import pytorch_lightning as pl
import torch

from asteroid.losses.compressed_spectrum import CompressedSpectrumLoss
from asteroid.models import BaseModel, CNUNet
from seloss.data import open_dataset
from seloss.data.load.loader import build_loader
from seloss.embeddings import DistilledXlsr
from seloss.embeddings.embedded import EmbeddedCNUNet
from seloss.train.fit.initial_weights import load_initial_weights
from seloss.train.fit.two_stage_data import EmbeddingData, LatentData
from seloss.train.options.recipe import OptimConfig
from seloss.train.system.two_stage import (
    EmbeddedSystem,
    LatentSystem,
    check_embedding_size,
    freeze,
)
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
def embeddings(tmp_path_factory):
    return EmbeddingData(DistilledXlsr(), tmp_path_factory.mktemp("embeddings"))


@pytest.fixture(scope="module")
def embedded(dataset, embeddings):
    """Excerpts with embeddings of the noisy signals."""
    return embeddings.dataset(dataset, "tiny", EmbeddedCNUNet(8, 200, **TINY), segment_s=0.25)


def fit(system, data, epochs=2):
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
def latents(dataset, embeddings, stage1, tmp_path_factory):
    data = LatentData(stage1[0], embeddings, tmp_path_factory.mktemp("latents"))
    return data.dataset(dataset, "tiny", CNUNet(**TINY), segment_s=0.25)


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


def test_stage_one_makes_embeddings_itself_when_it_knows_how(stage1, embeddings, dataset):
    network, _ = stage1
    whole = embeddings.dataset(dataset, "tiny", network)[0]
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
    first = stage1[0].network
    load_initial_weights(network, first.serialize(), exact=False)
    for name, value in network.state_dict().items():
        assert torch.equal(value, first.state_dict()[name])
    assert all("fusion" in name for name in first.state_dict().keys() - network.state_dict().keys())
    with pytest.raises(ValueError, match=r"fusion.* which this network has not"):
        load_initial_weights(network, first.serialize())
    loss = CompressedSpectrumLoss(win_length=128, hop_length=64, reduction="none")
    options = {"latent_weight": 1.0, "optim": OptimConfig(lr=5e-3)}
    system = LatentSystem(network, loss, **options)
    first = fit(system, latents, epochs=1)
    logged = fit(system, latents, epochs=3)
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
    wider, package = CNUNet(**{**TINY, "channels": 6}), CNUNet(**TINY).serialize()
    with pytest.raises(ValueError, match="does not fit this network"):
        load_initial_weights(wider, package, exact=False)
    with pytest.raises(ValueError, match="latent_weight must not be negative"):
        LatentSystem(CNUNet(**TINY), CompressedSpectrumLoss(), latent_weight=-1.0)


def test_stored_latents_are_those_of_stage_one_to_the_frame(stage1, latents, embeddings, dataset):
    network, _ = stage1
    whole = embeddings.dataset(dataset, "tiny", network)[1]
    with torch.no_grad():
        expected = network.analyse(whole.mixture[None, 0], whole.features[None])[1][0]
    assert torch.allclose(latents.store.get("item1"), expected, atol=1e-5)


def test_stores_are_filled_once_and_only_on_request(stage1, latents, embeddings, dataset, caplog):
    caplog.set_level("INFO")
    network, _ = stage1
    again = LatentData(network, embeddings, latents.store.folder.parents[1])
    again.store(dataset, "tiny")
    assert "latents of 3 utterances: 3 there, 0 to compute" in caplog.text
    assert "embeddings of 3 utterances: 3 there, 0 to compute" in caplog.text
    other = EmbeddingData(embeddings.embedder, embeddings.root, source="clean", fill=False)
    with pytest.raises(FileNotFoundError, match="holds no stored features"):
        other.store(dataset, "tiny")


def test_stage_two_must_have_the_latents_of_stage_one(stage1, embeddings, dataset, tmp_path):
    data = LatentData(stage1[0], embeddings, tmp_path)
    with pytest.raises(ValueError, match=r"channels 4, .* got channels 6"):
        data.dataset(dataset, "tiny", CNUNet(**{**TINY, "channels": 6}))


def test_an_embedder_of_another_rate_is_refused(embeddings, dataset, tmp_path):
    slow = open_dataset(
        make_manifest(tmp_path, n_items=1, n_mics=1, sample_rate=8000), sample_rate=8000
    )
    with pytest.raises(ValueError, match="16000 Hz, the data have 8000 Hz"):
        embeddings.store(slow, "slow")
