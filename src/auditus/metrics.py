"""Table of metrics: name -> metric, with what each needs and what its values mean."""

from __future__ import annotations

from collections.abc import Iterable

from asteroid.utils.registry import Registry

from . import (
    band_ratios,
    binaural,
    bss_eval,
    composite,
    opinion,
    perceptual,
    ratios,
    segmental,
    spectral_distance,
)
from .metric import Metric

__all__ = ["METRICS", "PUBLISHED", "get_metric", "get_metrics"]

# The metrics of the published evaluation, in the order of its columns.
PUBLISHED = ("si_sir", "si_sar", "si_sdr", "fw_sir", "fw_sar", "fw_sdr", "pesq_wb", "stoi")

METRICS: Registry[Metric] = Registry("metric")
for _metric in (
    ratios.si_sdr,
    ratios.si_sir,
    ratios.si_sar,
    ratios.si_sar_leroux,
    bss_eval.sdr,
    ratios.snr,
    band_ratios.fw_sdr,
    band_ratios.fw_sir,
    band_ratios.fw_sar,
    segmental.seg_snr,
    segmental.fw_seg_snr,
    segmental.lsd,
    perceptual.stoi,
    perceptual.estoi,
    perceptual.pesq_wb,
    perceptual.pesq_nb,
    spectral_distance.llr,
    spectral_distance.wss,
    composite.csig,
    composite.cbak,
    composite.covl,
    opinion.dnsmos_sig,
    opinion.dnsmos_bak,
    opinion.dnsmos_ovrl,
    opinion.dnsmos_p808,
    opinion.distillmos,
    binaural.mbstoi,
    binaural.ild_error,
    binaural.itd_error,
):
    METRICS.register(_metric.name)(_metric)


def get_metric(name: str) -> Metric:
    """Return a metric by its name.

    Raises:
        ValueError: No metric has this name; the message lists the known ones.

    >>> get_metric("si_sdr").unit
    'dB'
    """
    return METRICS.get(name)


def get_metrics(names: Iterable[str]) -> tuple[Metric, ...]:
    """Return several metrics; see ``get_metric``.

    Raises:
        ValueError: A name is not known, or comes twice, or there is none.
    """
    metrics = tuple(get_metric(name) for name in names)
    if not metrics:
        raise ValueError(f"no metric named; known are {', '.join(METRICS.names())}")
    labels = [metric.name for metric in metrics]
    if len(set(labels)) < len(labels):
        raise ValueError(f"a metric is named twice in {', '.join(labels)}")
    return metrics
