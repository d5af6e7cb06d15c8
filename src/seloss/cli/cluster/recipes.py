"""Networks that the launchers train and evaluate: program, published arguments, data."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from seloss.root import ROOT


class Word(NamedTuple):
    """A positional argument of ``train_<net>.sh`` that is an option of the recipe."""

    name: str
    flag: str
    help: str
    default: str | None = None  # None: the argument must be given
    choices: tuple[str, ...] | None = None  # None: the recipe decides


@dataclass(frozen=True)
class Recipe:
    """One network."""

    program: str
    data: str  # {} stands for train, valid or test
    maker: str  # of the data
    first: tuple[Word, ...]  # between TAG and CLUSTER
    last: tuple[Word, ...] = ()  # behind WALLTIME
    example: str = ""
    note: str = ""
    metrics: str = ""  # of the network's paper, if they differ from the default

    def find_data(self, part: str, given: str = "") -> Path:
        """Return the data of a part: those given, else the environment's, else the default.

        Args:
            part: train, valid or test.
            given: What the command line says.

        Raises:
            FileNotFoundError: The message says how to get some.
        """
        variable = f"SELOSS_{part.upper()}_JSON"
        path = Path(given or os.environ.get(variable) or self.data.format(part))
        if not (given or os.environ.get(variable) or path.is_file()):
            path = ROOT / path
        if not path.is_file():
            option = "name one" if part == "test" else f"give --{part}_json FILE"
            noun = "test set" if part == "test" else "manifest"
            raise FileNotFoundError(f"no {noun} {path}: {option}, or set {variable}; {self.maker}")
        return Path(os.path.abspath(path))


_MINI = "data/mini_mixtures/{}.json"
_MINI_MAKER = "scripts/data/prepare_mini.py and scripts/data/make_mixtures.py make it"
_LOSSES = (
    "a name in configs/losses.yml (si_snr_lms), a loss (pmsqe), a sum (si_snr+0.5*lms), a file of "
    "losses (my.yml), or one's own (my_losses.py:MyLoss)"
)

RECIPES = {
    "fasnet": Recipe(
        program="egs/TAC/train.py",
        data=_MINI,
        maker=_MINI_MAKER,
        first=(Word("LOSS", "--loss", "neg_sisdr (SCALE x WEIGHTING) or xp1 (plain SI-SDR)"),),
        last=(
            Word("N_FFT", "--n_fft", "FFT size of the loss", "1024"),
            Word("HOP", "--hop_length", "its hop", "256"),
            Word("SCALE", "--scale", "linear, mel or critical", "mel"),
            Word("BINS", "--n_bins", "number of bands", "18"),
            Word("WEIGHTING", "--weights_type", "weighting of the bands", "None"),
        ),
        example="XP1 neg_sisdr local 0 1 1024 256 mel 18 speech_norm",
    ),
    "dccrn": Recipe(
        program="egs/DCCRN/train.py",
        data="data/dccrn/{}.npy",
        maker="egs/DCCRN/local/prepare.py makes it",
        first=(Word("LOSS", "--loss", _LOSSES),),
        example="DCCRN_si_snr_lms si_snr_lms local 1 24",
        note="Manifests may be arrays, as egs/DCCRN/local/prepare.py makes them.",
    ),
    "dcunet": Recipe(
        program="egs/DCUNet/train.py",
        data="data/voicebank/{}.json",
        maker="scripts/data/voicebank_demand.py --out data/voicebank makes it",
        first=(
            Word("NETWORK", "--architecture", "DCUnet-10, DCUnet-16, DCUnet-20 or Large-DCUnet-20"),
            Word(
                "LOSS",
                "--loss",
                "weighted_sdr, mse, mse_spectrum, sdr, or a sum such as weighted_sdr+0.1*pmsqe",
            ),
        ),
        last=(
            Word("MASK", "--mask", "tanh, sigmoid, unbounded; magnitude for the form RMRn", "-"),
            Word("FORM", "--form", "complex network, or its real twins cRMRn and RMRn", "cRMCn"),
        ),
        example="D20 DCUnet-20 weighted_sdr local 1 24 tanh",
        metrics="pesq_wb csig cbak covl seg_snr",
    ),
    "cnunet": Recipe(
        program="egs/CNUNet/train.py",
        data=_MINI,
        maker=_MINI_MAKER,
        first=(
            Word(
                "STAGE",
                "--stage",
                "0: without embeddings; 1: with embeddings of a pretrained model; 2: drawn to the "
                "latents that egs/CNUNet/store.py has stored",
                None,
                ("0", "1", "2"),
            ),
        ),
        example="CNUNet_plain 0 local 1 24",
        note="egs/CNUNet/run_.sh runs both stages and what lies between them.",
        metrics="pesq_wb stoi csig cbak covl seg_snr dnsmos_sig dnsmos_bak dnsmos_ovrl",
    ),
}
