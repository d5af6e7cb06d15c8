from __future__ import annotations

import copy
import logging

import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounterWithBackend

from asteroid.models import DCCRN, CNUNet, DCUnet, FasNetTAC
from seloss.train.options.recipe import OptimConfig, TrainingConfig
from seloss.train.system.compile import CompiledCall, compiler_trouble
from seloss.train.system.optimizer import FUSED, OPTIMIZERS, build_optimizer
from seloss.train.system.recompute import recompute
from tests.seloss.train import tiny
from tests.seloss.train.tiny import fit

SMALL = {"width": 0.05, "n_fft": 256, "hop_length": 64}
NETWORKS = {
    "FasNetTAC": lambda: FasNetTAC(2, enc_dim=8, feature_dim=8, hidden_dim=8, n_layers=2),
    "DCCRN": lambda: DCCRN(channels=(4, 4, 8), hidden=8, n_layers=1),
    "DCUnet": lambda: DCUnet("DCUnet-10", **SMALL),
    "DCUnet whitening": lambda: DCUnet("DCUnet-10", None, "whitening", **SMALL),
    "CNUNet": lambda: CNUNet(4, 2, (2, 2), win_length=64, hop_length=32, n_fft=64),
}
# Of the bytes without it; real and imaginary part each by itself leave little to recompute.
MOST_KEPT = {"DCUnet": 0.9}


def trained(network: nn.Module, mixture: torch.Tensor) -> tuple[torch.Tensor, list, list, int]:
    """Return output, gradients and buffers of a step, and the bytes kept for the way back."""
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = network(mixture)
    output.float().square().sum().backward()
    gradients = [p.grad for p in network.parameters()]
    return output.detach(), gradients, list(network.buffers()), sum(kept.values())


@pytest.mark.parametrize("name", NETWORKS)
def test_recomputed_blocks_give_the_same_gradients_and_statistics_for_less_memory(name):
    torch.manual_seed(0)
    plain = NETWORKS[name]().train()
    frugal = copy.deepcopy(plain)
    names = list(plain.state_dict())
    blocks = recompute(frugal, ["auto"])
    assert len(blocks) > 1
    assert list(frugal.state_dict()) == names
    mixture = 0.1 * torch.randn(2, 1, 4000)
    expected, result = trained(plain, mixture), trained(frugal, mixture)
    torch.testing.assert_close(result[0], expected[0], rtol=0, atol=0)
    for ours, theirs in zip(result[1] + result[2], expected[1] + expected[2], strict=True):
        if theirs is not None:
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    assert result[3] < MOST_KEPT.get(name, 0.75) * expected[3]
    copied = copy.deepcopy(frugal)  # as the balancing of a sum does
    assert torch.equal(copied.eval()(mixture), frugal.eval()(mixture))


def test_parts_are_named_and_unknown_ones_refused():
    network = NETWORKS["DCCRN"]()
    names = recompute(copy.deepcopy(network), ["auto"])
    part = names[0].rpartition(".")[0]
    expected = [name for name in names if name.startswith(f"{part}.")]
    assert recompute(copy.deepcopy(network), [part]) == expected
    assert recompute(copy.deepcopy(network), [part, names[0]]) == expected
    with pytest.raises(ValueError, match=r"no part 'encodr'; it has auto, .*masker"):
        recompute(network, ["encodr"])


def test_training_with_recomputation_learns_the_same(tmp_path):
    plain = fit(tmp_path / "plain", epochs=2)
    frugal = fit(tmp_path / "frugal", epochs=2, recompute=("filters",))
    tiny.assert_same(plain.system, frugal.system, atol=1e-7)
    assert frugal.last()["state_dict"].keys() == plain.system.state_dict().keys()
    with pytest.raises(ValueError, match="exclude each other"):
        TrainingConfig(compile=True, recompute=("auto",))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_kernel_takes_the_same_steps(name):
    """What differs is the order of a few roundings: 1e-6 of weights near 1."""
    results = []
    for kernel in ("plain", "foreach", "fused", "auto"):
        if kernel == "fused" and name not in FUSED:
            with pytest.raises(ValueError, match=f"{name} has none; choose auto, foreach or plain"):
                OptimConfig(name, kernel=kernel)
            continue
        draw = torch.Generator().manual_seed(0)
        weights = [nn.Parameter(torch.randn(5, n, generator=draw)) for n in (1, 7, 64)]
        optimizer = build_optimizer(OptimConfig(name, lr=0.01, kernel=kernel), weights)
        assert bool(optimizer.defaults.get("fused")) == (
            kernel in ("fused", "auto") and name in FUSED
        )
        for _ in range(5):
            for weight in weights:
                weight.grad = torch.randn(weight.shape, generator=draw)
            optimizer.step()
        results.append(torch.cat([weight.detach().flatten() for weight in weights]))
    for other in results[1:]:
        torch.testing.assert_close(other, results[0], rtol=0, atol=1e-6)


def test_a_run_goes_on_with_another_kernel(tmp_path):
    plain = OptimConfig(lr=0.01, kernel="plain")
    whole = fit(tmp_path / "whole", epochs=4, optim=plain)
    fit(tmp_path / "parts", epochs=2, optim=plain)
    parts = fit(tmp_path / "parts", epochs=4)
    assert parts.system.optimizers().param_groups[0]["fused"] is True
    tiny.assert_same(whole.system, parts.system, atol=1e-6)


class Small(nn.Module):
    """With running statistics, which a trial must not touch, and a draw."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv1d(1, 4, 5), nn.BatchNorm1d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.dropout(self.norm(self.conv(x)), 0.5, self.training)


def check_compiled(network: nn.Module) -> None:
    """Compare output, gradients and statistics of a network's first step with its twin's.

    By the tracer without the code generator, which would take minutes.
    """
    torch._dynamo.reset()
    graphs = CompileCounterWithBackend("aot_eager")
    names, twin = list(network.state_dict()), copy.deepcopy(network)
    call = CompiledCall(network, network, backend=graphs)
    mixture = 0.1 * torch.randn(2, 1, 1000)
    results = []
    for function in (call, twin):
        torch.manual_seed(1)
        results.append(function(mixture))
        results[-1].float().square().sum().backward()
    assert graphs.frame_count > 0
    assert call.compiled is not None
    torch.testing.assert_close(results[0], results[1], rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(network.parameters(), twin.parameters(), strict=True):
        assert (ours.grad is None) == (theirs.grad is None)
        if theirs.grad is not None:
            error = (ours.grad - theirs.grad).abs().max()
            assert error <= 1e-4 * theirs.grad.abs().max() + 1e-6
    for ours, theirs in zip(network.buffers(), twin.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    assert list(network.state_dict()) == names


def test_a_compiled_network_computes_the_same_and_owns_its_weights():
    check_compiled(Small())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["FasNetTAC", "DCCRN", "DCUnet"])
def test_our_networks_compiled_compute_the_same(name):
    torch.manual_seed(0)
    check_compiled(NETWORKS[name]())


def test_what_cannot_be_compiled_is_trained_as_it_is(caplog):
    def broken(graph, inputs):
        raise OSError("no space left for what the compiler writes")

    torch._dynamo.reset()
    network = Small().eval()
    call = CompiledCall(network, network, backend=broken)
    mixture = torch.randn(1, 1, 50)
    assert torch.equal(call(mixture), network(mixture))
    assert "cannot be compiled, and is trained as it is" in caplog.text
    assert call.compiled is None


def test_training_continues_where_there_is_no_compiler(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.WARNING)
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    with torch._inductor.config.patch({"cpp.cxx": (None, "no-such-compiler")}):
        trouble = compiler_trouble(torch.device("cpu"))
        assert trouble is not None
        assert "no C++ compiler no-such-compiler (install one" in trouble
        compiled = fit(tmp_path / "compiled", epochs=2, compile=True)
    assert "training continues without --compile" in caplog.text
    tiny.assert_same(fit(tmp_path / "plain", epochs=2).system, compiled.system)


@pytest.mark.slow
def test_a_compiled_run_learns_the_same_and_its_checkpoint_fits(tmp_path):
    if compiler_trouble(torch.device("cpu")) is not None:
        pytest.skip("needs a C++ compiler")
    plain = fit(tmp_path / "plain", epochs=3)
    compiled = fit(tmp_path / "compiled", epochs=3, compile=True)
    assert compiled.system.compiled is not None
    assert compiled.system.compiled.compiled is not None
    assert compiled.last()["state_dict"].keys() == plain.system.state_dict().keys()
    tiny.assert_same(plain.system, compiled.system, atol=1e-5)
    fit(tmp_path / "compiled", epochs=4)  # uncompiled
