"""Published numbers: reproduced by variant="published", and by the default where right."""

import json
from pathlib import Path

import pytest
import torch

from asteroid.losses import NegSISDRLoss, XP1Loss
from tests.auditus.signals import reference_inputs

REFERENCE = json.loads(
    Path(__file__).parents[2].joinpath("reference", "sdr_xp.json").read_text(encoding="utf-8")
)
CONDITIONS = ["mid", "low", "high"]
SAME_DB = 1e-4
# 1 / (|S - N| + 1e-8) amplifies the rounding of float32, most on the 513 narrow linear bands.
ILL_CONDITIONED_DB = {"inverse_spectral_diff": 0.1, "log_snr_softmax_speech_norm": 1e-3}
# What was mended changes the value: negative weights, dependence on level, tables for mel bands.
MENDED = {
    "log_snr_speech_norm",
    "log_snr_softmax_speech_norm",
    "inverse_spectral_diff",
    "relu_log",
}
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(scope="module", params=CONDITIONS)
def condition(request):
    estimate, speech, noise = reference_inputs(request.param)
    est_targets, targets = torch.stack([estimate, noise], 1), torch.stack([speech, noise], 1)
    return request.param, est_targets, targets


def _values(key, est_targets, targets, **options):
    scale, n_bins, weights_type = key.split("|")
    loss = NegSISDRLoss(
        scale, n_bins=int(n_bins), weights_type=weights_type, reduction="none", **options
    )
    return loss(est_targets, targets)


@pytest.mark.parametrize("key", REFERENCE["losses"]["mid"])
def test_published_variant_gives_the_published_values(key, condition):
    name, est_targets, targets = condition
    found = _values(key, est_targets, targets, variant="published")
    expected = [float("nan") if x is None else x for x in REFERENCE["losses"][name][key]]
    tolerance = ILL_CONDITIONED_DB.get(key.split("|")[-1], SAME_DB)
    torch.testing.assert_close(
        found, torch.tensor(expected), atol=tolerance, rtol=0, equal_nan=True
    )


def _right_as_published(key):
    scale, n_bins, weights_type = key.split("|")
    table_error = n_bins == "21" and scale == "critical"
    no_table = scale == "mel" and weights_type.startswith("perceptual")
    return weights_type not in MENDED and not table_error and not no_table


@pytest.mark.parametrize(
    "key", [key for key in REFERENCE["losses"]["mid"] if _right_as_published(key)]
)
def test_default_gives_the_published_values_where_those_are_well_defined(key, condition):
    name, est_targets, targets = condition
    found = _values(key, est_targets, targets, window="rectangular" if "linear" in key else None)
    expected = torch.tensor(REFERENCE["losses"][name][key])
    clamped = (expected == 10) | (expected == -35)  # e.g. weights that vanish against the eps
    # perceptual-2 and -3 take the bandwidth itself, which is within 1 % of the published one.
    tolerance = 5e-3 if key.endswith(("-2", "-3")) else SAME_DB
    torch.testing.assert_close(found[~clamped], expected[~clamped], atol=tolerance, rtol=0)


@pytest.mark.parametrize("scale", ["mel", "critical"])
def test_mended_log_snr_weights_equal_the_published_where_every_band_is_below_0_db(scale):
    estimate, speech, noise = reference_inputs("low")
    est_targets, targets = torch.stack([estimate, noise], 1), torch.stack([speech, noise], 1)
    found = _values(f"{scale}|18|log_snr_speech_norm", est_targets, targets)
    expected = torch.tensor(REFERENCE["losses"]["low"][f"{scale}|18|log_snr_speech_norm"])
    torch.testing.assert_close(found, expected, atol=SAME_DB, rtol=0)


@pytest.mark.parametrize("variant", ["default", "published"])
def test_waveform_loss_gives_the_published_values(variant, condition):
    name, est_targets, targets = condition
    found = XP1Loss(variant=variant)(est_targets, targets)
    assert found.item() == pytest.approx(REFERENCE["xp1"][name], abs=SAME_DB)


def test_21_bands_as_published_are_off_by_their_table_errors():
    estimate, speech, noise = reference_inputs("mid")
    est_targets, targets = torch.stack([estimate, noise], 1), torch.stack([speech, noise], 1)
    right = _values("critical|21|perceptual", est_targets, targets)
    published = _values("critical|21|perceptual-published", est_targets, targets)
    expected = torch.tensor(REFERENCE["losses"]["mid"]["critical|21|perceptual"])
    torch.testing.assert_close(published, expected, atol=SAME_DB, rtol=0)
    assert ((right - published).abs() > 1).all()
