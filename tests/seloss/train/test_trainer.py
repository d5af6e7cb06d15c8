from __future__ import annotations

import pytest
import torch

from tests.seloss.train import tiny


def test_more_gpus_than_there_are_is_refused(tmp_path):
    there = torch.cuda.device_count()
    with pytest.raises(ValueError, match=rf"training.gpus is {there + 1}, but .* shows {there}"):
        tiny.trainer(tmp_path, gpus=there + 1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without a GPU")
def test_all_gpus_of_a_machine_without_one_is_the_cpu_in_float32(tmp_path):
    trainer, _, _ = tiny.trainer(tmp_path, gpus=-1)
    assert trainer.accelerator.__class__.__name__ == "CPUAccelerator"
    assert trainer.precision == "32-true"
