"""Predicted opinions: the libraries' own values, one run for four figures, what they refuse."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch

from auditus import distillmos, dnsmos_bak, dnsmos_ovrl, dnsmos_p808, dnsmos_sig, opinion
from tests.auditus.signals import RATE
from tests.data import speech_like
from tests.recordings import babble, sentence

FOUR = {"sig": dnsmos_sig, "bak": dnsmos_bak, "ovrl": dnsmos_ovrl, "p808": dnsmos_p808}


def noisy_speech() -> tuple[np.ndarray, np.ndarray]:
    """Real speech and it in babble at 0 dB, 9.5 s."""
    clean = np.resize(sf.read(sentence(0))[0], 152000)
    noise = np.resize(sf.read(babble())[0], 152000)
    noisy = clean + noise * np.sqrt(np.mean(clean**2) / np.mean(noise**2))
    return clean, noisy / max(1.0, np.abs(noisy).max())


@pytest.mark.slow
def test_dnsmos_scores_where_environment_and_home_are_read_only(tmp_path: Path) -> None:
    """As in a container: librosa had nowhere to compile to, and every value was lost."""
    unshare = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("no mounts of one's own here")
    readonly = (sys.prefix, sys.base_prefix, str(tmp_path))
    mounts = "".join(
        f"mount --bind '{folder}' '{folder}' && mount -o remount,ro,bind '{folder}' && "
        for folder in dict.fromkeys(readonly)
    )
    code = (
        "import torch; from auditus import dnsmos_ovrl; torch.manual_seed(0);"
        "print('value', dnsmos_ovrl(0.1 * torch.randn(1, 32000), sample_rate=16000).item())"
    )
    environment = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("XDG_CACHE_HOME", None)
    script = f"{mounts} exec '{sys.executable}' -c \"{code}\""
    done = subprocess.run(
        [*unshare, "bash", "-c", script], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert 1 < float(done.stdout.split("value")[1]) < 5


@pytest.mark.slow
def test_dnsmos_agrees_with_the_library_and_knows_noise() -> None:
    from speechmos import dnsmos as library

    clean, noisy = noisy_speech()
    expected = library.run(noisy, RATE)
    signal = torch.from_numpy(noisy)[None]
    for name, metric in FOUR.items():
        value = metric(signal, sample_rate=RATE).item()
        # one thread or several: sums in another order
        assert value == pytest.approx(float(expected[f"{name}_mos"]), abs=1e-3), name
        assert value < metric(torch.from_numpy(clean)[None], sample_rate=RATE).item(), name


@pytest.mark.slow
def test_distillmos_agrees_with_the_library_and_knows_noise() -> None:
    import distillmos as library

    clean, noisy = (torch.from_numpy(signal)[None] for signal in noisy_speech())
    with torch.no_grad():
        expected = library.ConvTransformerSQAModel().eval()(noisy.float()).item()
    assert distillmos(noisy, sample_rate=RATE).item() == pytest.approx(expected, abs=1e-4)
    assert distillmos(clean, sample_rate=RATE).item() > expected


def test_four_scores_of_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = []

    def model(signal: np.ndarray, rate: int, *, is_personalized_MOS: bool) -> dict[str, float]:
        assert rate == RATE
        assert not is_personalized_MOS
        runs.append(len(signal))
        return {"sig_mos": 4.0, "bak_mos": 3.0, "ovrl_mos": 2.0, "p808_mos": 1.0}

    monkeypatch.setattr(opinion, "_dnsmos_model", lambda: model)
    signal = torch.from_numpy(speech_like(1.2, seed=77))[None]
    values = [metric(signal, sample_rate=RATE).item() for metric in FOUR.values()]
    assert values == [4.0, 3.0, 2.0, 1.0]
    assert runs == [19200]


def test_what_is_refused_before_any_model_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opinion, "_dnsmos_model", lambda: pytest.fail("no model is needed"))
    signal = torch.from_numpy(speech_like(1.2))[None]
    loud = dnsmos_sig.measure(5 * signal / signal.abs().max(), sample_rate=RATE)
    assert loud.reasons == ("samples beyond full scale: the peak is 5",)
    assert loud.values.isnan().all()
    for metric in (*FOUR.values(), distillmos):
        assert metric.measure(signal[:, :8000], sample_rate=RATE).reasons[0].startswith("shorter")
        assert "8000 Hz" in metric.measure(signal, sample_rate=8000).reasons[0]
        assert metric.measure(0 * signal, sample_rate=RATE).reasons == ("the estimate is silent",)


def test_a_missing_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    opinion._dnsmos_model.cache_clear()
    opinion._distillmos_model.cache_clear()
    for module in ("speechmos", "distillmos"):
        monkeypatch.setitem(__import__("sys").modules, module, None)
    signal = torch.from_numpy(speech_like(1.1, seed=5))[None]
    with pytest.raises(ModuleNotFoundError, match="pip install speechmos"):
        dnsmos_sig(signal, sample_rate=RATE)
    with pytest.raises(ModuleNotFoundError, match="pip install distillmos"):
        distillmos(signal, sample_rate=RATE)
