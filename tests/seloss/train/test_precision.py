from __future__ import annotations

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins import MixedPrecision
from torch import nn

from asteroid.losses import build_loss
from asteroid.losses.catalogue import LOSSES
from asteroid.losses.compressed_spectrum import LatentLoss
from asteroid.losses.sum_loss import SumLoss
from asteroid.models import DCCRN, CNUNet, DCUnet, FasNetTAC
from seloss.data.formats.batch import Batch
from seloss.train import ConfigError, EnhancementSystem, NonFiniteError
from seloss.train.options.recipe import OptimConfig, TrainingConfig
from seloss.train.run.precision import check_precision, choose_precision
from tests.seloss.train import tiny


class OwnLoss(nn.Module):
    """A loss of one's own that knows nothing of precisions, and multiplies matrices."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("basis", torch.eye(64).repeat(1, 2), persistent=False)

    def forward(self, est_targets, targets):
        error = (est_targets - targets)[:, 0].unfold(-1, 128, 128)
        return (error @ self.basis.T).square().mean((1, 2))


def every_loss() -> dict[str, nn.Module]:
    made = {name: build_loss(name, reduction="none") for name in LOSSES.names()}
    parts = [{"name": "si_snr"}, {"name": "lms", "weight": 0.5}, {"name": "pmsqe", "weight": 0.0}]
    return {**made, "sum": SumLoss(parts, reduction="none"), "own": OwnLoss()}


def signals() -> Batch:
    draw = torch.Generator().manual_seed(0)
    sources = 0.1 * torch.randn(2, 2, 8000, generator=draw)
    lengths = torch.tensor([8000, 8000])
    return Batch(sources.sum(1, keepdim=True), sources, torch.ones(2).long(), lengths, ("a", "b"))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", [*LOSSES.names(), "sum", "own"])
def test_a_loss_under_autocast_is_that_of_the_same_estimate_in_float32(name, dtype):
    """Equal to the last bit: nothing of a loss is computed in fewer digits."""
    batch = signals()
    system = EnhancementSystem(tiny.TinyNet(), every_loss()[name])
    estimate = batch.sources + 0.03 * batch.mixture.flip(-1)
    rough = estimate.to(dtype).requires_grad_()
    with torch.autocast("cpu", dtype):
        losses = system.loss_values(rough, batch)["loss"]
    losses.mean().backward()
    exact = rough.detach().float().requires_grad_()
    expected = system.loss_values(exact, batch)["loss"]
    expected.mean().backward()
    assert losses.dtype == torch.float32
    assert torch.equal(losses, expected)
    assert torch.equal(rough.grad, exact.grad.to(dtype))


def test_the_latent_loss_too_is_computed_in_float32():
    latent, stored = torch.randn(2, 2, 4, 3, 5).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = LatentLoss()(latent, stored)
    assert torch.equal(found, LatentLoss()(latent.float(), stored.float()))


NETWORKS = {
    "FasNetTAC": lambda: FasNetTAC(2, enc_dim=8, feature_dim=8, hidden_dim=8, n_layers=1),
    "DCCRN": lambda: DCCRN(channels=(4, 4, 8), hidden=8, n_layers=1),
    "DCUnet": lambda: DCUnet("DCUnet-10", width=0.05, n_fft=256, hop_length=64),
    "CNUNet": lambda: CNUNet(4, 2, (2, 2), win_length=64, hop_length=32, n_fft=64),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_train_in_bf16_near_what_they_do_in_float32(name):
    """8 bits of mantissa are 0.4 %; what a few layers make of them stays below a tenth."""
    torch.manual_seed(0)
    network = NETWORKS[name]()
    mixture = 0.1 * torch.randn(2, 1, 2000)
    exact = network(mixture).float()
    with torch.autocast("cpu", torch.bfloat16):
        rough = network(mixture)
    error = (rough.detach().float() - exact.detach()).norm() / exact.detach().norm()
    assert 0 < float(error) < 0.1
    rough.float().square().sum().backward()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert gradients
    assert all(bool(torch.isfinite(g).all()) and g.dtype == torch.float32 for g in gradients)


@pytest.mark.parametrize(
    ("wanted", "on_gpu", "expected"),
    [
        ("32", True, "32-true"),
        ("bf16-mixed", False, "bf16-mixed"),
        ("auto", False, "32-true"),
        ("16-mixed", True, "16-mixed"),
    ],
)
def test_names_of_lightning(wanted, on_gpu, expected):
    assert choose_precision(wanted, on_gpu) == expected


def test_what_a_device_has_not_got_is_refused_with_what_it_has(monkeypatch):
    with pytest.raises(ConfigError, match=r"16-mixed needs a GPU.* may be 32 or bf16-mixed"):
        choose_precision("16-mixed", on_gpu=False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: False)
    assert choose_precision("auto", on_gpu=True) == "32-true"
    with pytest.raises(ConfigError, match="this GPU has no bf16; it may be 32 or 16-mixed"):
        choose_precision("bf16-mixed", on_gpu=True)
    with pytest.raises(ValueError, match=r"needs a GPU, and training.gpus is 0"):
        TrainingConfig(precision="16-mixed", gpus=0)
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="there is none here"):
            check_precision(TrainingConfig(precision="16-mixed"))


def fit_scaled(folder, loss: nn.Module, scale: float) -> EnhancementSystem:
    """Train in float16 on the CPU, whose gradients torch can scale as it does a GPU's."""
    torch.manual_seed(0)
    system = EnhancementSystem(tiny.TinyNet(), loss, optim=OptimConfig(lr=0.01))
    plugin = MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=scale))
    trainer = pl.Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        plugins=plugin,
        max_epochs=3,
        logger=False,
        gradient_clip_val=5.0,
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
    )
    trainer.fit(system, tiny.loader(tiny.items(8)), tiny.loader(tiny.items(1)))
    return system


class Loud(tiny.SquaredError):
    def forward(self, est_targets, targets, lengths):
        return 1e4 * super().forward(est_targets, targets, lengths)


def test_a_step_that_16_bits_are_too_few_for_is_left_out(tmp_path):
    """The first steps' gradients are beyond the largest float16, until scaled less."""
    system = fit_scaled(tmp_path, Loud(), 2.0**10)
    assert all(bool(torch.isfinite(p).all()) for p in system.parameters())
    torch.manual_seed(0)
    start = tiny.TinyNet().state_dict()
    assert any(not torch.equal(v, start[n]) for n, v in system.network.state_dict().items())


class InfiniteGradient(tiny.SquaredError):
    def forward(self, est_targets, targets, lengths):
        losses = super().forward(est_targets, targets, lengths)
        return losses + torch.sqrt(est_targets[:, 0].sum(-1) * 0)


def test_a_gradient_that_no_scale_makes_finite_stops_the_run(tmp_path):
    with pytest.raises(NonFiniteError, match="the gradient is not finite"):
        fit_scaled(tmp_path, InfiniteGradient(), 4.0)
