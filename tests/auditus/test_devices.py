"""Metrics of tensors on another device: the same values, nothing made on the wrong one."""

import numpy as np
import pytest
import torch

from auditus import METRICS
from tests.data import make_mixture
from tests.elsewhere import DEVICE, OtherDevice, fetch, send

SLOW = {"distillmos", "mbstoi", "dnsmos_sig", "dnsmos_bak", "dnsmos_ovrl", "dnsmos_p808"}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in METRICS.names()],
)
def test_every_metric_is_the_same_there(name):
    metric = METRICS.get(name)
    parts = [make_mixture(1.0, n_mics=2, seed=seed)[1:] for seed in range(2)]
    speech, noise = (torch.from_numpy(np.stack(kind)).float() for kind in zip(*parts, strict=True))
    signals = [speech + 0.3 * noise, speech, noise]
    if metric.channels == 1:
        signals = [signal[:, 0] for signal in signals]
    lengths = torch.tensor([16000, 12000])
    expected = metric(*signals, sample_rate=16000, lengths=lengths)
    with OtherDevice():
        estimate, target, other, counts = send(*signals, lengths)
        values = metric(estimate, target, other, sample_rate=16000, lengths=counts)
        assert values.device == DEVICE
        torch.testing.assert_close(fetch(values), expected, equal_nan=True, rtol=1e-6, atol=1e-9)
