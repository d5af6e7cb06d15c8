"""Metrics on tensors: per utterance, in natural units, NaN with a reason where undefined.

Every metric is called in the same way, `metric(estimate, target, noise, sample_rate=16000,
lengths=None) -> (batch,)`, never changes its arguments, ignores padding, and carries its unit,
direction and source. ``Auditus`` runs a list of them over a batch.
"""

import seloss  # noqa: F401 - refuses an installation that other packages have damaged

from .band_ratios import fw_sar, fw_sdr, fw_sir
from .binaural import ild_error, itd_error, mbstoi
from .bss_eval import sdr
from .composite import cbak, covl, csig
from .evaluation import Auditus, evaluate
from .metric import Metric, Scores
from .metrics import METRICS, PUBLISHED, get_metric, get_metrics
from .opinion import distillmos, dnsmos_bak, dnsmos_ovrl, dnsmos_p808, dnsmos_sig
from .perceptual import estoi, pesq_nb, pesq_wb, stoi
from .ratios import si_sar, si_sar_leroux, si_sdr, si_sir, snr
from .segmental import fw_seg_snr, lsd, seg_snr
from .spectral_distance import llr, wss

__all__ = [
    "METRICS",
    "PUBLISHED",
    "Auditus",
    "Metric",
    "Scores",
    "cbak",
    "covl",
    "csig",
    "distillmos",
    "dnsmos_bak",
    "dnsmos_ovrl",
    "dnsmos_p808",
    "dnsmos_sig",
    "estoi",
    "evaluate",
    "fw_sar",
    "fw_sdr",
    "fw_seg_snr",
    "fw_sir",
    "get_metric",
    "get_metrics",
    "ild_error",
    "itd_error",
    "llr",
    "lsd",
    "mbstoi",
    "pesq_nb",
    "pesq_wb",
    "sdr",
    "seg_snr",
    "si_sar",
    "si_sar_leroux",
    "si_sdr",
    "si_sir",
    "snr",
    "stoi",
    "wss",
]
