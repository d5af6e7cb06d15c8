"""Masks on complex spectra: their bounds, their values, their gradients at nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asteroid.masknn.complex.mask import MASKS, apply_mask, bound_polar

REFERENCE = json.loads((Path(__file__).parents[2] / "reference/dcunet.json").read_text())["masks"]
COMPLEX = [kind for kind in MASKS.names() if kind != "magnitude"]
parts = st.floats(-1e4, 1e4, allow_nan=False) | st.floats(-1e-3, 1e-3) | st.just(0.0)


def pixel(re, im, dtype=torch.float64):
    return torch.tensor([re, im], dtype=dtype).view(1, 2, 1, 1)


def mask_of(re, im, kind, dtype=torch.float64):
    """The mask is what becomes of a spectrum of 1."""
    return torch.complex(*apply_mask(pixel(1.0, 0.0, dtype), pixel(re, im, dtype), kind)[0])


@pytest.mark.parametrize("kind", ["unbounded", "sigmoid", "tanh"])
def test_masked_spectra_are_those_of_the_public_implementations(kind):
    output, spectrum, expected = (
        torch.tensor(values, dtype=torch.float64).T[None, :, :, None]
        for values in (REFERENCE["output"], REFERENCE["spectrum"], REFERENCE["masked"][kind])
    )
    torch.testing.assert_close(apply_mask(spectrum, output, kind), expected, rtol=0, atol=1e-15)


@given(parts, parts)
@settings(deadline=None)
def test_tanh_bounds_the_magnitude_and_keeps_the_phase(re, im):
    mask, output = mask_of(re, im, "tanh").squeeze(), torch.complex(*pixel(re, im)[0]).squeeze()
    assert mask.abs() <= 1 + 1e-15
    assert abs(mask.abs() - torch.tanh(output.abs())) < 1e-14
    if output.abs() > 1e-300:
        turned = mask * output.conj() / output.abs()
        assert abs(turned.imag) < 1e-14
        assert turned.real >= 0


@given(parts, parts)
@settings(deadline=None)
def test_sigmoid_stays_in_the_first_quadrants_unit_square(re, im):
    mask = mask_of(re, im, "sigmoid").squeeze()
    assert 0 <= mask.real <= 1
    assert 0 <= mask.imag <= 1


@given(st.floats(-3.14159, 3.14159), st.floats(0.01, 20))
@settings(deadline=None)
def test_tanh_masks_turn_the_phase_to_any_angle_and_sigmoid_masks_do_not(angle, size):
    point = torch.polar(
        torch.tensor(size, dtype=torch.float64), torch.tensor(angle, dtype=torch.float64)
    )
    turned = mask_of(point.real.item(), point.imag.item(), "tanh").squeeze().angle()
    assert abs(turned.item() - angle) < 1e-12
    reached = mask_of(point.real.item(), point.imag.item(), "sigmoid").squeeze().angle().item()
    assert 0 <= reached <= torch.pi / 2


@given(parts, parts)
@settings(deadline=None)
def test_masks_separate_and_magnitude_do_what_they_say(re, im):
    spectrum = pixel(3.0, -2.0)
    torch.testing.assert_close(
        apply_mask(spectrum, pixel(re, im), "separate"), pixel(3.0 * re, -2.0 * im)
    )
    gain = torch.sigmoid(torch.tensor(re, dtype=torch.float64))
    torch.testing.assert_close(
        apply_mask(spectrum, pixel(re, im)[:, :1], "magnitude"), spectrum * gain
    )


@pytest.mark.parametrize("kind", MASKS.names())
@pytest.mark.parametrize("size", [0.0, 1e-9, 1e-3, 0.0316, 0.5, 3.0])
def test_gradients_are_right_also_where_output_and_spectrum_are_zero(kind, size):
    generator = torch.Generator().manual_seed(0)
    shape = (1, 4 if kind != "magnitude" else 2, 2, 2)
    output = size * torch.randn(shape, generator=generator, dtype=torch.float64)
    spectrum = torch.randn(1, 2, 2, 2, generator=generator, dtype=torch.float64)
    spectrum[..., 0] = 0
    arguments = (spectrum.requires_grad_(), output.requires_grad_())
    assert torch.autograd.gradcheck(lambda s, o: apply_mask(s, o, kind), arguments)


@pytest.mark.parametrize("kind", COMPLEX)
def test_gradients_are_finite_for_any_size(kind):
    output = torch.tensor([0.0, 1e-38, 1e-20, 1e-5, 1.0, 1e4, 1e18])
    output = torch.stack([output, output.flip(0)])[None, :, :, None].requires_grad_()
    spectrum = torch.ones(1, 2, 7, 1).requires_grad_()
    apply_mask(spectrum, output, kind).sum().backward()
    assert output.grad.isfinite().all()
    assert spectrum.grad.isfinite().all()


def test_the_series_near_zero_joins_the_quotient():
    size = torch.linspace(0.0300, 0.0333, 200, dtype=torch.float64)  # around sqrt(1e-3)
    output = torch.stack([size, 0 * size])[None, :, :, None]
    assert (bound_polar(output)[0, 0, :, 0] - size.tanh()).abs().max() < 1e-15


def test_masks_are_applied_in_float32_under_autocast():
    generator = torch.Generator().manual_seed(0)
    spectrum, output = (torch.randn(1, 2, 3, 3, generator=generator) for _ in range(2))
    output = output.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        masked = apply_mask(spectrum, output, "tanh")
    assert torch.equal(masked, apply_mask(spectrum, output.float(), "tanh"))


def test_an_unknown_mask_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="unbounded, sigmoid, tanh, separate, magnitude"):
        apply_mask(torch.ones(1, 2, 1, 1), torch.ones(1, 2, 1, 1), "bdt")
