"""The Lightning system that trains a speech-enhancement network."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning.profilers import Profiler
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from asteroid.losses import SumLoss
from asteroid.utils.registry import check_choice
from seloss.data.formats.batch import Batch
from seloss.data.load.samplers import StepSampler
from seloss.train.options.recipe import OptimConfig
from seloss.train.run.distributed import average, gather_values

from .batch_loss import BatchLoss, find_argument
from .deferred import DeferredReads
from .epoch_means import EpochMeans
from .nan_guard import StepGuard, check_losses, check_norm, gradient_norm
from .optimizer import build_optimizer, kernel_flags
from .randomness import seed_step

__all__ = ["EnhancementSystem", "Metric"]

Metric = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, "torch.Tensor | None"], torch.Tensor]
"""``(estimate, target, noise, lengths) -> (batch,)``, the signals ``(batch, samples)``."""

SHARES_EVERY = 50  # batches; shares of the gradient cost one more pass through the losses


class EnhancementSystem(pl.LightningModule):
    """A network, a loss, an optimiser and validation metrics, ready for ``Trainer.fit``.

    Logged: ``train/loss``, ``train/grad_norm``, ``lr``, ``val/loss`` and ``val/<metric>``; each an
    average over utterances (never of batch means; over all ranks; ``train/loss`` also over those
    before a stop inside the epoch), metrics over the utterances for which they are defined.

    The gradient of a step is that of the mean loss over the utterances of all ranks, of which one
    may have fewer than another in an epoch's last step.

    What a step draws at random depends on the seed, the epoch and the batch only, and the plateau
    scheduler is stepped before the epoch's checkpoint is written, so a resumed run repeats a run
    that was never interrupted.

    Args:
        network: Mixture ``(batch, channels, samples)`` to estimates ``(batch, sources, samples)``.
            It is given the number of microphones too if its ``forward`` has an argument
            ``valid_mics`` or ``n_mics``.
        loss: ``(est_targets, targets)`` to one loss per utterance ``(batch,)`` or a mean ``()``. It
            is given ``lengths`` too if it takes them, and always sees float32.
        optim: Optimiser and its explicit learning rate: nothing multiplies it.
        metrics: Name -> validation metric.
        monitor: The logged quantity that the scheduler follows.
        mode: ``"max"`` if a higher ``monitor`` is better, else ``"min"``.
        lr_patience: Epochs without improvement before the learning rate is halved; None: never.
        seed: Seed of what the steps draw.
        augment: What is done to every training batch, on the device; it may draw from torch's
            generators.
        config: Resolved configuration, kept in the checkpoints.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: nn.Module,
        *,
        optim: OptimConfig | None = None,
        metrics: Mapping[str, Metric] | None = None,
        monitor: str = "val/loss",
        mode: Literal["min", "max"] = "min",
        lr_patience: int | None = None,
        seed: int = 0,
        augment: Callable[[Batch], Batch] | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.loss = loss
        self.optim = optim or OptimConfig()
        self.metrics = dict(metrics or {})
        self.monitor, self.lr_patience, self.seed = monitor, lr_patience, seed
        self.mode: Literal["min", "max"] = mode
        check_choice("monitor", monitor, ["val/loss", *(f"val/{name}" for name in self.metrics)])
        self.augment = augment
        self.config = dict(config or {})
        self._batch_loss = BatchLoss(loss)
        labels = self._batch_loss.labels
        losses = ["loss", *(f"loss_{label}" for label in labels)]
        self._values: dict[str, list[float]] = {name: [] for name in [*losses, *self.metrics]}
        self._means = EpochMeans([*losses, *(f"grad_share_{label}" for label in labels)])
        self._mics_name = find_argument(network.forward, "valid_mics", "n_mics")
        self._plateau: ReduceLROnPlateau | None = None
        self._plateau_state: dict[str, Any] | None = None
        self._step_ids: list[str] = []
        self._reads, self._guard = DeferredReads(), StepGuard()
        self._unchecked: tuple[dict[str, torch.Tensor], tuple[str, ...], int, int] | None = None
        self.compiled: Callable[..., Any] | None = None

    def entry(self) -> Callable[..., Any]:
        """Return the function of the network that a step calls, and that is compiled if any is."""
        return self.network

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Call `entry`, in training in its compiled form if it has one (``compiled``)."""
        compiled = self.compiled if self.training and torch.is_grad_enabled() else None
        return (compiled or self.entry())(*args, **kwargs)

    def forward(self, mixture: torch.Tensor, n_mics: torch.Tensor | None = None) -> torch.Tensor:
        """Return the estimates ``(batch, sources, samples)`` of ``mixture``."""
        mics = {} if self._mics_name is None else {self._mics_name: n_mics}
        return torch.as_tensor(self.run(mixture, **mics))

    def loss_values(self, estimate: torch.Tensor, batch: Batch) -> dict[str, torch.Tensor]:
        """Return what `BatchLoss.values` does; a stage with a loss of its own adds to it."""
        return self._batch_loss.values(estimate, batch)

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        """Move a batch but for its numbers of microphones, which networks read on the CPU."""
        moved: Batch = super().transfer_batch_to_device(batch, device, dataloader_idx)
        return moved._replace(n_mics=batch.n_mics)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed the step, so that it does not depend on what ran before it."""
        seed_step(self.seed, self.current_epoch, batch_idx, self.global_rank)

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        """Return the mean loss of ``batch``."""
        self._step_ids += batch.ids
        if self.augment is not None:
            batch = self.augment(batch)
        profiler: Profiler = self.trainer.profiler  # type: ignore[attr-defined]
        with profiler.profile("forward"):
            estimate = self(batch.mixture, batch.n_mics)
        with profiler.profile("loss"):
            losses = self.loss_values(estimate, batch)
            loss = losses["loss"].mean()
        own, weight = self._share(len(batch.ids), batch_idx)
        # Checked after the backward pass has been queued: see on_after_backward.
        detached = {name: values.detach() for name, values in losses.items()}
        self._unchecked = detached, batch.ids, batch_idx, own
        if batch_idx % SHARES_EVERY == 0:
            shares = self._batch_loss.gradient_shares(estimate, batch)
            self._means.add(shares, own, self.device, self.global_rank)
        self.log("train/loss_step", loss.detach(), prog_bar=True, batch_size=len(batch.ids))
        return loss if weight == 1 else weight * loss

    def on_after_backward(self) -> None:
        """Check and add up the losses of the batch, on a GPU those of some batches together.

        Not earlier: reading a number makes the CPU wait until the GPU has done all its work, and
        the GPU would then be idle while the backward pass is prepared.
        """
        if self._unchecked is None:
            return
        (losses, ids, batch_idx, own), self._unchecked = self._unchecked, None
        means = torch.stack([values.double().mean() for values in losses.values()])
        where = self._where(batch_idx)

        def add_up(numbers: list[float]) -> None:
            if not all(map(math.isfinite, numbers)):
                check_losses(losses["loss"], ids, where)
            named = dict(zip(losses, numbers, strict=True))
            self._means.add(named, own, self.device, self.global_rank)

        self._reads.add(means, add_up)
        if len(self._reads):
            self._guard.note(means)
        if self.trainer.is_last_batch:
            self._reads.read()
            for name, value in self._batch_loss.with_weights(self._means.pop()).items():
                self.log(f"train/{name}", value, on_step=False, on_epoch=True, batch_size=1)

    def _share(self, n_items: int, batch_idx: int) -> tuple[int, float]:
        """Return how many utterances of a step count here, and what its mean loss weighs.

        Ranks are averaged, so that a rank with fewer utterances must weigh less.
        """
        sampler = getattr(self.trainer.train_dataloader, "batch_sampler", None)
        if not isinstance(sampler, StepSampler):
            return n_items, 1.0
        own, everyone = sampler.real(batch_idx)
        # DDP divides the sum of the ranks' gradients by their number.
        return own, own * sampler.world / everyone

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Refuse a gradient that is not finite before it reaches the weights."""
        ids, self._step_ids = self._step_ids, []
        norm = gradient_norm(self.parameters())
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        if scaler is not None and scaler.get_scale() >= 1 and not bool(torch.isfinite(norm)):
            return  # 16 bits were too few: the step is left out, and gradients are scaled less
        self._reads.add(norm[None], partial(check_norm, ids=ids, where=self._where()))
        if len(self._reads):
            self._guard.note(norm[None])
            if not self._guard.apply(optimizer):
                self._reads.read()
        self.log("train/grad_norm", norm, on_step=False, on_epoch=True, batch_size=1)

    def validation_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        """Add the losses and metrics of ``batch`` to the epoch's; return the estimates."""
        estimate: torch.Tensor = self(batch.mixture, batch.n_mics).float()
        losses = self.loss_values(estimate, batch)
        check_losses(losses["loss"], batch.ids, self._where(batch_idx, "validation"))
        for name, values in losses.items():
            # A loss that averages counts once for each utterance.
            self._values[name] += values.expand(len(batch.ids)).tolist()
        for name, metric in self.metrics.items():
            target, noise = batch.sources[:, 0], batch.sources[:, 1]
            with torch.autocast(self.device.type, enabled=False):
                values = metric(estimate[:, 0], target, noise, batch.lengths)
            self._values[name] += values.tolist()
        return estimate

    def on_validation_start(self) -> None:
        """Check what the training steps before have left to read."""
        self._reads.read()

    def on_validation_epoch_end(self) -> None:
        """Log the averages over all utterances of all ranks."""
        means = {name: average(gather_values(values)) for name, values in self._values.items()}
        for name, mean in self._batch_loss.with_weights(means).items():
            self.log(f"val/{name}", mean, prog_bar=f"val/{name}" == self.monitor)
        for values in self._values.values():
            values.clear()

    def on_train_epoch_end(self) -> None:
        """Let the learning rate follow the monitored metric (before the checkpoint is written)."""
        self._reads.read()
        self.log("lr", self.trainer.optimizers[0].param_groups[0]["lr"])
        monitored = self.trainer.callback_metrics.get(self.monitor)
        if self._plateau is not None and monitored is not None:
            self._plateau.step(float(monitored))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Build the optimiser and the plateau scheduler, which this module steps itself."""
        optimizer = build_optimizer(self.optim, self.network.parameters())
        if self.lr_patience is not None:
            self._plateau = ReduceLROnPlateau(
                optimizer,
                mode=self.mode,
                factor=0.5,
                patience=self.lr_patience,
                threshold=0.0,  # the default, a ratio, calls worse better where values are negative
                threshold_mode="abs",
            )
            if self._plateau_state is not None:
                self._plateau.load_state_dict(self._plateau_state)
        return optimizer

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the scheduler, the configuration and what rebuilds the network."""
        self._reads.read()  # nothing is saved that is not checked
        checkpoint["config"] = self.config
        checkpoint["train_sum"] = self._means.state()
        if isinstance(self.loss, SumLoss):
            checkpoint["loss_weights"] = dict(self.loss.weights)
        if self._plateau is not None:
            checkpoint["plateau"] = self._plateau.state_dict()
        arguments = getattr(self.network, "get_model_args", None)
        if callable(arguments):
            checkpoint["model_name"] = type(self.network).__name__
            checkpoint["model_args"] = arguments()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take over what belongs to this module; the scheduler's state until it is built."""
        self._means.load(checkpoint.get("train_sum"))
        if isinstance(self.loss, SumLoss) and "loss_weights" in checkpoint:
            self.loss.weights.update(checkpoint["loss_weights"])
        self._plateau_state = checkpoint.get("plateau")
        flags = kernel_flags(self.optim, self.trainer.strategy.root_device.type)
        for state in checkpoint.get("optimizer_states", []):  # of another device, perhaps
            for group in state["param_groups"]:
                group.update(flags)

    def _where(self, batch_idx: int | None = None, phase: str = "training") -> str:
        batch = "" if batch_idx is None else f", batch {batch_idx}"
        return f"{phase} epoch {self.current_epoch}{batch}, step {self.global_step}"
