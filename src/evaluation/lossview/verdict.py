"""Verdict on a loss: the findings of its probes as sentences."""

from __future__ import annotations

import numpy as np
import pandas as pd

__all__ = ["learning_range", "verdict"]

# Where the loss falls by less than this share of its steepest fall, it counts as flat.
FLAT = 0.02
# Two values that differ by less than this share of the loss's range count as equal.
EQUAL = 1e-3
# Levels that recordings may have, on either side of the usual one.
LEVELS_DB = 40.0
# SNRs of the usual training data.
USUAL_DB = (-10, 20)


def learning_range(snr: pd.Series) -> tuple[float, float] | None:
    """Return the SNRs (dB) between which the loss falls; None: nowhere.

    ``snr`` is the mean value of the loss by SNR, ascending.
    """
    falls = -np.diff(snr.to_numpy(dtype=float)) / np.diff(snr.index.to_numpy(dtype=float))
    steepest = np.nanmax(falls, initial=0.0)
    steep = np.flatnonzero(falls > FLAT * steepest) if steepest > 0 else np.array([], dtype=int)
    if not len(steep):
        return None
    return float(snr.index[steep[0]]), float(snr.index[steep[-1] + 1])


def verdict(probes: pd.DataFrame) -> list[str]:
    """Return one sentence per finding, the most serious first."""
    snr = probes[probes["kind"] == "snr"].groupby("at_db")["value"].mean()
    bad = probes[~np.isfinite(probes["value"]) | ~np.isfinite(probes["gradient"])]
    names = ", ".join(dict.fromkeys(bad["condition"]))
    finite = "Value and gradient are finite everywhere."
    if names:
        finite = (
            f"PROBLEM: value or gradient is not finite for: {names}. Training would stop there."
        )
    return [
        finite,
        _starts(probes),
        *_range(snr),
        _levels(probes, "gain", "the estimate's level", snr),
        _levels(probes, "level", "the level of everything", snr),
        *_parts(probes),
    ]


def _starts(probes: pd.DataFrame) -> str:
    """Return whether an untrained network gets a gradient."""
    starts = probes[probes["kind"] == "start"]
    usual = probes[(probes["kind"] == "snr") & probes["at_db"].between(*USUAL_DB)]
    typical = usual["step"].median()
    if not typical > 0:
        return "PROBLEM: at usual SNRs it has no gradient at all."
    weak = starts[starts["step"] < 1e-3 * typical]
    if len(weak):
        names = ", ".join(dict.fromkeys(weak["condition"]))
        return (
            f"PROBLEM: almost no gradient from a random start ({names}): a thousandth of the usual "
            "step or less. A network may not begin to learn."
        )
    ratio = starts["step"].median() / typical
    return f"From a random start the relative gradient is {ratio:.2g} times the usual one."


def _range(snr: pd.Series) -> list[str]:
    limits = learning_range(snr)
    if limits is None:
        return ["PROBLEM: the loss does not fall with the SNR anywhere between -40 and 50 dB."]
    low, high = limits
    sentences = [f"It tells better from worse between {low:.0f} and {high:.0f} dB SNR."]
    if low > USUAL_DB[0] or high < USUAL_DB[1]:
        sentences.append(
            f"CAUTION: it is flat outside: training data reach from {USUAL_DB[0]} to "
            f"{USUAL_DB[1]} dB."
        )
    spread = np.ptp(snr.to_numpy())
    rises = snr[snr.diff() > EQUAL * max(spread, 1e-12)]
    if len(rises):
        where = ", ".join(f"{at:.0f}" for at in rises.index)
        sentences.append(f"CAUTION: it rises although the SNR does, up to {where} dB.")
    usual = snr[(snr.index >= USUAL_DB[0]) & (snr.index <= USUAL_DB[1])]
    sentences.append(
        f"From {USUAL_DB[0]} to {USUAL_DB[1]} dB it goes from {usual.iloc[0]:.4g} to "
        f"{usual.iloc[-1]:.4g}: a range of {abs(usual.iloc[0] - usual.iloc[-1]):.3g} to weigh "
        "against other terms."
    )
    return sentences


def _levels(probes: pd.DataFrame, kind: str, level: str, snr: pd.Series) -> str:
    part = probes[(probes["kind"] == kind) & (probes["at_db"].abs() <= LEVELS_DB)]
    by_level = part.groupby("at_db")["value"].mean()
    change, spread = np.ptp(by_level.to_numpy()), max(np.ptp(snr.to_numpy()), 1e-12)
    if change <= EQUAL * spread:
        return f"It does not depend on {level} (within {LEVELS_DB:.0f} dB)."
    share = change / spread
    best = by_level.idxmin()
    return (
        f"It depends on {level}: within {LEVELS_DB:.0f} dB it changes by {change:.3g}, {share:.2g} "
        f"times the change over 90 dB of SNR; lowest at {best:+.0f} dB."
    )


def _parts(probes: pd.DataFrame) -> list[str]:
    names = [name.removeprefix("share_") for name in probes if name.startswith("share_")]
    usual = probes[(probes["kind"] == "snr") & probes["at_db"].between(*USUAL_DB)]
    sentences = []
    for name in names:
        by_snr = usual.groupby("at_db")[f"value_{name}"].mean()
        share = usual[f"share_{name}"].mean()
        sentences.append(
            f"{name}: weighted range {np.ptp(by_snr.to_numpy()):.3g} from {USUAL_DB[0]} to "
            f"{USUAL_DB[1]} dB, {100 * share:.0f} % of the gradient on average."
        )
        if share < 0.05:
            sentences.append(f"CAUTION: {name} hardly counts: raise its weight, or leave it out.")
    return sentences
