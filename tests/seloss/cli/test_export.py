"""Networks as ONNX files: the network's answers, its facts, refusals."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch
from torch import nn

from asteroid.models import DCCRN, CNUNet, DCUnet, FasNetTAC
from evaluation.enhance import cli as enhance
from evaluation.enhance.network import load_network
from seloss.cli import export
from seloss.pretrained import onnx_export
from seloss.pretrained.onnx_export import count_products, export_onnx
from seloss.pretrained.onnx_network import load_onnx, open_session
from tests.data import make_mixture

RATE = 16000
NETWORKS = {
    "DCCRN": lambda: DCCRN(channels=(4, 8), hidden=8, hop_length=200, causal=True),
    "DCCRN, real LSTM": lambda: DCCRN("R", channels=(4, 8), hidden=8, recurrent="real"),
    "DCUnet": lambda: DCUnet("DCUnet-10", width=0.25),
}


@pytest.fixture
def _packages():
    for name in ("onnx", "onnxruntime", "onnxscript"):
        pytest.importorskip(name)


def build(name: str) -> nn.Module:
    torch.manual_seed(0)
    return NETWORKS[name]().eval()


def save(path: Path, network: nn.Module) -> Path:
    torch.save(network.serialize(), path)
    return path


@pytest.mark.slow
@pytest.mark.usefixtures("_packages")
@pytest.mark.parametrize("name", NETWORKS)
def test_the_file_answers_as_the_network_at_any_length(tmp_path, name):
    network = build(name)
    facts = export_onnx(network, tmp_path / "net.onnx")
    assert facts.n_parameters == sum(p.numel() for p in network.parameters())
    assert facts.latency_ms == 1000 * network.latency_samples / RATE if "DCCRN" in name else True
    loaded = load_onnx(tmp_path / "net.onnx")
    assert (loaded.sample_rate, loaded.latency_samples) == (RATE, network.latency_samples)
    for length in (1024, 5000, 40001):
        mixture = 0.1 * torch.randn(2, length, generator=torch.Generator().manual_seed(3))
        with torch.no_grad():
            expected, found = network(mixture), loaded(mixture)
        assert found.shape == expected.shape
        assert (found - expected).abs().max() < 1e-4 * expected.abs().max()


@pytest.mark.usefixtures("_packages")
def test_the_program_writes_a_file_that_enhances_as_its_network(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    checkpoint = save(tmp_path / "xp.pth", build("DCCRN"))
    assert export.main([str(checkpoint)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("xp.onnx: ")
    assert "11,917 parameters" in said
    assert "latency 25.0 ms" in said
    mixture = make_mixture(0.8, n_mics=2, sample_rate=RATE, seed=1)[0]
    sf.write("in.wav", mixture.T, RATE, subtype="FLOAT")
    answers = []
    for model in ("--model", "xp.onnx"), ("--checkpoint", str(checkpoint)):
        assert enhance.main([*model, "in.wav", "-o", f"{len(answers)}.wav"]) == 0
        answers.append(sf.read(f"{len(answers)}.wav")[0])
    np.testing.assert_allclose(*answers, atol=1e-4 * np.abs(answers[1]).max())
    before = (tmp_path / "xp.onnx").read_bytes()
    assert export.main([str(checkpoint)]) == 1
    assert "xp.onnx is there already (--overwrite makes it again)" in capsys.readouterr().err
    assert (tmp_path / "xp.onnx").read_bytes() == before


@pytest.mark.slow
@pytest.mark.usefixtures("_packages")
def test_frame_by_frame_the_file_gives_the_whole_answer(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    network = build("DCCRN")
    checkpoint = save(tmp_path / "xp.pth", network)
    assert export.main(["--frame", str(checkpoint)]) == 0
    stream = network.stream()
    stream.step(torch.zeros(1, 200))
    n_state = stream.state.n_values() + 2 * stream.delay_samples
    assert f"{n_state:,} numbers of state" in capsys.readouterr().out
    session = open_session("xp.frame.onnx")
    mixture = make_mixture(0.5, n_mics=1, sample_rate=RATE, seed=2)[0].astype(np.float32)
    state, answers = np.zeros(n_state, np.float32), []
    for start in range(0, mixture.shape[1], 200):
        inputs = {"frame": mixture[:, start : start + 200], "state": state}
        answer, state = session.run(None, inputs)
        answers.append(answer)
    with torch.no_grad():
        whole = network(torch.from_numpy(mixture))[0].numpy()
    found = np.concatenate(answers, axis=1)[:, stream.delay_samples :]
    np.testing.assert_allclose(found, whole[:, : found.shape[1]], atol=1e-4 * np.abs(whole).max())
    with pytest.raises(ValueError, match="takes one frame and its state; export without --frame"):
        load_onnx("xp.frame.onnx")


@pytest.mark.usefixtures("_packages")
def test_a_file_that_answers_something_else_is_not_left(tmp_path, monkeypatch):
    gates = onnx_export._in_onnx_order
    monkeypatch.setattr(onnx_export, "_in_onnx_order", lambda gates_: gates(gates_.flip(0)))
    with pytest.raises(ValueError, match="onnxruntime's answer differs from that of DCCRN by"):
        export_onnx(build("DCCRN"), tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


def test_products_are_those_of_the_layers():
    """Of two layers whose products are known: a convolution and an LSTM."""

    class Two(nn.Module):
        sample_rate = 100

        def __init__(self) -> None:
            super().__init__()
            self.conv, self.lstm = nn.Conv1d(1, 3, 5, padding=2), nn.LSTM(3, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.lstm(self.conv(x[:, None]).permute(2, 0, 1))[0]

    assert count_products(Two()) == 100 * (3 * 5 + 4 * 4 * (3 + 4))


def test_what_cannot_be_exported_or_loaded_is_refused_by_name(tmp_path, monkeypatch, capsys):
    (tmp_path / "bad.onnx").write_bytes(b"hello")
    pytest.importorskip("onnxruntime")
    with pytest.raises(ValueError, match=r"bad\.onnx is damaged or no ONNX file"):
        load_network(tmp_path / "bad.onnx", torch.device("cpu"))
    with pytest.raises(FileNotFoundError, match=r"there is no network .*none\.onnx"):
        load_network(tmp_path / "none.onnx", torch.device("cpu"))
    tac = FasNetTAC(
        2, n_layers=1, enc_dim=8, feature_dim=8, hidden_dim=8, tac_hidden_dim=8, window_ms=16
    )
    place = save(tmp_path / "tac.pth", tac)
    assert export.main([str(place)]) == 1
    assert "only networks of one microphone are exported" in capsys.readouterr().err
    ahead = save(tmp_path / "ahead.pth", build("DCCRN, real LSTM"))
    if importlib.util.find_spec("onnxscript"):
        assert export.main(["--frame", str(ahead)]) == 1
        assert "DCCRN does not run frame by frame: not causal" in capsys.readouterr().err
    assert export.main(["dccrn-smal"]) == 1
    assert "did you mean dccrn-small-causal?" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ModuleNotFoundError, match=r"an export to ONNX needs onnx"):
        export_onnx(CNUNet(channels=4, inner_channels=2), tmp_path / "x.onnx")
    with pytest.raises(SystemExit) as stop:
        export.main(["--format", "tflite"])
    assert stop.value.code == 2
