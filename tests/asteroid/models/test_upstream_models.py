"""Every Asteroid network on the pinned stack: build, forward, backward, save, load."""

from __future__ import annotations

import pytest
import torch
from torch.torch_version import TorchVersion

from asteroid import models

FILTERBANK = {"n_filters": 16, "kernel_size": 16, "stride": 8}
FASNET = {"enc_dim": 4, "feature_dim": 4, "hidden_dim": 4, "n_layers": 1, "tac_hidden_dim": 4}
XUMX = {
    "sources": ["speech", "noise"],
    "window_length": 64,
    "in_chan": 64,
    "n_hop": 16,
    "hidden_size": 8,
    "sample_rate": 16000,
}

# name: (class, arguments, input shape, output shape)
CASES = {
    "ConvTasNet": (
        "ConvTasNet",
        {"n_src": 2, "n_blocks": 2, "n_repeats": 1, "bn_chan": 4, "hid_chan": 4, "skip_chan": 4}
        | FILTERBANK,
        (2, 1, 800),
        (2, 2, 800),
    ),
    "DPRNNTasNet": (
        "DPRNNTasNet",
        {"n_src": 2, "bn_chan": 4, "hid_size": 4, "chunk_size": 10, "n_repeats": 1} | FILTERBANK,
        (2, 1, 800),
        (2, 2, 800),
    ),
    "DPTNet": (
        "DPTNet",
        {"n_src": 2, "n_heads": 2, "ff_hid": 4, "chunk_size": 10, "n_repeats": 1} | FILTERBANK,
        (2, 1, 800),
        (2, 2, 800),
    ),
    "LSTMTasNet": (
        "LSTMTasNet",
        {"n_src": 2, "n_layers": 1, "hid_size": 8, "dropout": 0.0} | FILTERBANK,
        (2, 1, 800),
        (2, 2, 800),
    ),
    "SuDORMRFNet": (
        "SuDORMRFNet",
        {"n_src": 2, "bn_chan": 4, "num_blocks": 1, "upsampling_depth": 2, "n_filters": 16},
        (2, 1, 800),
        (2, 2, 800),
    ),
    "SuDORMRFImprovedNet": (
        "SuDORMRFImprovedNet",
        {"n_src": 2, "bn_chan": 4, "num_blocks": 1, "upsampling_depth": 2, "n_filters": 16},
        (2, 1, 800),
        (2, 2, 800),
    ),
    "DeMask": (
        "DeMask",
        {"hidden_dims": (8,), "n_filters": 64, "kernel_size": 64, "stride": 32},
        (2, 1, 800),
        (2, 1, 800),
    ),
    "DCCRNet": ("DCCRNet", {"architecture": "DCCRN-CL"}, (1, 2000), (1, 1, 2000)),
    "DCCRNet mini": (
        "DCCRNet",
        {"architecture": "mini", "stft_n_filters": 512},
        (1, 4000),
        (1, 1, 4000),
    ),
    **{
        name: (
            "DCUNet",
            {"architecture": name, "fix_length_mode": "pad", "stft_n_filters": 512}
            | {"stft_kernel_size": 512, "stft_stride": 128},
            (1, 2500),
            (1, 1, 2500),
        )
        for name in ("DCUNet-10", "DCUNet-16", "DCUNet-20", "Large-DCUNet-20", "mini")
    },
    "FasNetTAC": ("FasNetTAC", {"n_src": 2} | FASNET, (2, 3, 800), (2, 2, 800)),
    "XUMX": ("XUMX", XUMX, (3, 2, 800), (2, 51, 3, 2, 33)),
    "XUMX mono": ("XUMX", XUMX | {"nb_channels": 1}, (3, 1, 800), (2, 51, 3, 1, 33)),
}


def build(name):
    kind, options, shape, expected = CASES[name]
    torch.manual_seed(0)
    mixture = torch.randn(shape) * 0.1
    return getattr(models, kind)(**options), mixture, expected


def run(network, mixture):
    output = network(mixture)
    return output[0] if isinstance(output, tuple) else output


#: Networks of this project with tests of their own.
OURS = {"CNUNet", "DCCRN", "DCUnet", "NUNetTLS"}


def test_every_published_network_is_tried():
    kinds = {kind for kind, *_ in CASES.values()} | OURS
    named = {name for name in models.__all__ if isinstance(getattr(models, name), type)}
    assert kinds == named


@pytest.mark.parametrize("name", CASES)
def test_forward_and_backward(name):
    network, mixture, shape = build(name)
    output = run(network, mixture)
    assert tuple(output.shape) == shape
    assert output.isfinite().all()
    output.square().mean().backward()
    learnt = [p for p in network.parameters() if p.requires_grad]
    assert all(p.grad is None or p.grad.isfinite().all() for p in learnt)
    assert any(p.grad is not None and p.grad.any() for p in learnt)


@pytest.mark.parametrize("version", [str, TorchVersion], ids=["new package", "old package"])
@pytest.mark.parametrize("name", CASES)
def test_a_saved_network_comes_back_the_same(name, version, tmp_path):
    network, mixture, _ = build(name)
    network.eval()
    package = network.serialize()
    versions = package["infos"]["software_versions"]
    assert type(versions["torch_version"]) is str
    versions["torch_version"] = version(versions["torch_version"])
    path = tmp_path / "model.pth"
    torch.save(package, path)
    if version is str:
        torch.load(path, weights_only=True)
    loaded = models.BaseModel.from_pretrained(str(path)).eval()
    assert type(loaded) is type(network)
    with torch.no_grad():
        assert torch.equal(run(loaded, mixture), run(network, mixture))


def test_loading_runs_no_code_from_a_package(tmp_path):
    class Evil:
        def __reduce__(self):
            return (pytest.fail, ("a package ran code",))

    path = tmp_path / "model.pth"
    torch.save({"model_name": "FasNetTAC", "model_args": Evil(), "state_dict": {}}, path)
    with pytest.raises(Exception, match=r"[Ww]eights.only"):
        models.BaseModel.from_pretrained(str(path))


def test_xumx_gives_time_signals():
    torch.manual_seed(0)
    network = models.XUMX(**XUMX, return_time_signals=True).eval()
    mixture = torch.randn(2, 2, 800)
    masked, signals = network(mixture)
    assert tuple(signals.shape) == (2, 2, 2, 800)
    # one instrument whose mask is 1 everywhere: transform and inverse give the mixture back
    spectra = network.encoder(mixture)
    back = network.decoder(spectra[0].permute(1, 2, 3, 0).unsqueeze(0), spectra[1])
    assert (back[0] - mixture).abs().max() < 1e-5
    assert masked.isfinite().all()
