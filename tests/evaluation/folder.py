"""An experiment folder by hand: what inference would have left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile as sf
import torch

from asteroid.models import FasNetTAC
from tests.data import SAMPLE_RATE, make_mixture

FIELDS = "Sample_ID,id,speaker,noise_type,snr_db,seen\n"


def make_sample(folder: Path, seed: int, seconds: float = 0.6, gain: float = 0.3) -> None:
    """Write one sample whose estimate keeps `gain` of the noise."""
    mixture, speech, noise = (part[0] for part in make_mixture(seconds, n_mics=1, seed=seed))
    draw = np.random.default_rng(seed)
    estimate = speech + gain * noise + np.float32(1e-3) * draw.standard_normal(len(speech))
    folder.mkdir(parents=True)
    for name, signal in (
        ("mixture", mixture),
        ("speech", speech),
        ("noise", noise),
        ("estimate", estimate),
    ):
        sf.write(folder / f"{name}.wav", signal.astype(np.float32), SAMPLE_RATE, subtype="FLOAT")


def make_experiment(
    root: Path, tag: str = "XP", *, n_samples: int = 3, gain: float = 0.3, testset: str = "test"
) -> Path:
    """Write `n_samples` samples, their table and a history; return the test set's folder."""
    folder = root / tag / testset
    folder.mkdir(parents=True, exist_ok=True)
    rows = ""
    for index in range(n_samples):
        make_sample(folder / f"sample_{index}", seed=index, gain=gain)
        rows += f"sample_{index},utt-{index},0{index},pink,{index}.5,True\n"
    (folder / "samples.csv").write_text(FIELDS + rows, encoding="utf-8")
    history = "epoch,lr,train/loss,val/loss,val/si_sdr\n0,0.001,1.5,2.0,1\n1,0.001,-3.0,-2.5,4\n"
    (root / tag / "history.csv").write_text(history, encoding="utf-8")
    return folder


def save_network(folder: Path, seed: int = 0) -> FasNetTAC:
    """Write a tiny network as training does."""
    torch.manual_seed(seed)
    sizes = {"enc_dim": 8, "feature_dim": 8, "hidden_dim": 8, "tac_hidden_dim": 8}
    network = FasNetTAC(2, n_layers=1, **sizes)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(network.serialize(), folder / "best_model.pth")
    return network.eval()


def write_audio(
    path: Path, signal: np.ndarray | None = None, sample_rate: int = SAMPLE_RATE
) -> Path:
    """Write a file of `(samples,)` or `(samples, channels)`, 0.1 s of a tone by default."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if signal is None:
        signal = 0.1 * np.sin(np.arange(1600))
    subtype = "FLOAT" if path.suffix.lower() == ".wav" else None
    sf.write(path, signal, sample_rate, subtype=subtype)
    return path
