from __future__ import annotations

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seloss.train import EnhancementSystem
from seloss.train.callbacks.audio_log import N_FFT, spectrogram_image
from tests.seloss.train import tiny


def test_the_picture_shows_a_tone_where_it_is():
    time = torch.arange(16000) / 16000
    picture = spectrogram_image(0.01 * torch.sin(2 * torch.pi * 2000 * time))
    assert picture.shape[:2] == (3, N_FFT // 2 + 1)
    assert float(picture.min()) >= 0
    assert float(picture.max()) <= 1
    brightest = int(picture.sum(0)[:, 60].argmax())
    assert N_FFT // 2 - brightest == pytest.approx(2000 / 16000 * N_FFT, abs=1)


def test_a_silent_or_short_signal_has_a_picture():
    assert bool(torch.isfinite(spectrogram_image(torch.zeros(16000))).all())
    assert spectrogram_image(torch.ones(10)).shape[-1] >= 1


def test_the_same_few_utterances_are_logged_at_every_epoch(tmp_path):
    system = EnhancementSystem(tiny.TinyNet(), tiny.SquaredError())
    trainer, _, _ = tiny.trainer(tmp_path, listen=2, epochs=2)
    trainer.fit(system, tiny.loader(tiny.items(4)), tiny.loader(tiny.items(3)))
    trainer.logger.finalize("success")
    events = EventAccumulator(str(tmp_path / "tensorboard_logs"), {"audio": 0, "images": 0})
    events.Reload()
    names = {f"{i}/{k}" for i in ("item-0", "item-1") for k in ("mixture", "target", "estimate")}
    assert set(events.Tags()["audio"]) == {f"audio/{name}" for name in names}
    assert set(events.Tags()["images"]) == {f"spectrogram/{name}" for name in names}
    assert len(events.Audio("audio/item-1/estimate")) == 2
    assert len(events.Audio("audio/item-1/mixture")) == 1
    assert {"train/loss", "val/loss", "lr", "train/grad_norm"} <= set(events.Tags()["scalars"])


def test_a_resume_takes_back_nothing_of_the_last_checkpoint(tmp_path):
    for epochs in (2, 3):
        system = EnhancementSystem(tiny.TinyNet(), tiny.SquaredError())
        trainer, _, experiment = tiny.trainer(tmp_path, listen=1, epochs=epochs)
        loaders = tiny.loader(tiny.items(4)), tiny.loader(tiny.items(3))
        trainer.fit(system, *loaders, ckpt_path=experiment.last)
        trainer.logger.finalize("success")
    events = EventAccumulator(str(tmp_path / "tensorboard_logs"), {"audio": 0, "scalars": 0})
    events.Reload()
    assert len(events.Audio("audio/item-0/estimate")) == 3
    assert len(events.Scalars("val/loss")) == 3
