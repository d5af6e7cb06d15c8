"""Data sets of Asteroid and of SELoss; each is imported when it is first used."""

from __future__ import annotations

import lazy_loader

_datasets = {
    "avspeech_dataset": ["AVSpeechDataset"],
    "dampvsep_dataset": ["DAMPVSEPSinglesDataset"],
    "dns_dataset": ["DNSDataset"],
    "fuss_dataset": ["FUSSDataset"],
    "kinect_wsj": ["KinectWsjMixDataset"],
    "librimix_dataset": ["LibriMix"],
    "musdb18_dataset": ["MUSDB18Dataset"],
    "opening": ["open_dataset"],
    "sms_wsj_dataset": ["SmsWsjDataset"],
    "vad_dataset": ["LibriVADDataset"],
    "wham_dataset": ["WhamDataset"],
    "whamr_dataset": ["WhamRDataset"],
    "wsj0_mix": ["Wsj0mixDataset"],
}
__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs=_datasets)
