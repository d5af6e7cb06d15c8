"""NUNet-TLS and CNUNet against values measured on the published code."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import interpolate

from asteroid.models import CNUNet, NUNetTLS
from tests.asteroid.models.nested import REFERENCE, distance, fill_by_rule, ruled_signal

# The original's transform is a float32 matrix (rounded to 6e-8); where a bin is nearly empty, the
# compression to the power of 0.2 raises that, and the expansion to the power of 5 raises it again.
ROUNDED_TRANSFORM = 1e-5
COMPRESSED_AND_EXPANDED = 1e-4

VARIANTS = {
    "NUNet-TLS": {},
    "NUNet-TLS_Baseline": {"attention": False, "two_level": False},
    "NUNet-TLS_Baseline_CTFA": {"two_level": False},
}


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("name", VARIANTS)
def test_nunet_has_the_published_number_of_parameters(name):
    assert count(NUNetTLS(**VARIANTS[name])) == REFERENCE[name]["params"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 2_979_840),
        ({"branch": "mask"}, 1_798_614),
        ({"branch": "spectrum"}, 1_798_614),
        ({"embedding_dim": 1024}, 3_275_520),
        ({"as_published": True}, 2_979_840),
    ],
)
def test_cnunet_has_the_published_number_of_parameters(options, expected):
    assert count(CNUNet(**options)) == expected


def test_cnunet_has_the_published_parameters_in_each_part():
    network, expected = CNUNet(), REFERENCE["CNUNet_TB"]["params_per_child"]
    assert count(network.entry) == expected["input_layer"]
    assert count(network.bottleneck) == expected["bottleneck"]
    for i, (stage, down) in enumerate(zip(network.encoder, network.downs, strict=True), start=1):
        assert count(stage) + count(down) == expected[f"en{i}"]
    for branch, letter in (("mask", "m"), ("spectrum", "s")):
        decoder = network.decoders[branch]
        for i, (up, stage) in enumerate(zip(decoder.ups, decoder.stages, strict=True), start=1):
            assert count(up) + count(stage) == expected[f"de{i}{letter}"]
        assert count(decoder.exit) == expected[f"output_layer_{letter}"]


@pytest.mark.parametrize("name", VARIANTS)
def test_nunet_as_published_gives_the_measured_output(name):
    network = NUNetTLS(as_published=True, **VARIANTS[name]).double()
    fill_by_rule(network)
    with torch.no_grad():
        output = network(ruled_signal()[None])[0]
    assert distance(output, REFERENCE[name]["output"]) < ROUNDED_TRANSFORM


@pytest.mark.parametrize(("name", "size"), [("CNUNet_TB", None), ("Stage1", 1024)])
def test_cnunet_as_published_gives_the_measured_values(name, size):
    network = CNUNet(as_published=True, embedding_dim=size).double()
    fill_by_rule(network)
    seen = {}

    def watch(module, label):
        module.register_forward_hook(lambda _m, _i, output: seen.update({label: output}))

    watch(network.entry, "input_layer")
    watch(network.bottleneck, "bottleneck")
    for i, down in enumerate(network.downs, start=1):
        watch(down, f"en{i}")
    for branch, letter in (("mask", "m"), ("spectrum", "s")):
        watch(network.decoders[branch].exit, f"output_layer_{letter}")
    embeddings = None
    if size:
        values = torch.sin(0.013 * torch.arange(50 * size, dtype=torch.float64)).view(1, 50, size)
        embeddings = interpolate(values.transpose(1, 2), size=63, mode="linear").transpose(1, 2)
    with torch.no_grad():
        output, latent = network.analyse(ruled_signal()[None], embeddings)
    assert torch.equal(latent, seen["bottleneck"])
    shapes = REFERENCE[name]["shapes"]
    for label, value in seen.items():
        re, im = value.chunk(2, dim=1)
        assert [list(re.shape), list(im.shape)] == shapes[label]
    compared = [stage for stage in REFERENCE[name]["stages"] if stage[0] in seen]
    assert len(compared) == 6
    for label, *references in compared:
        for part, reference in zip(seen[label].chunk(2, dim=1), references, strict=True):
            assert distance(part, reference) < ROUNDED_TRANSFORM, label
    covered = output[..., :15872]  # the original loses the rest
    assert distance(covered, REFERENCE[name]["output"]) < COMPRESSED_AND_EXPANDED
    assert not output[..., 15872:].any()
