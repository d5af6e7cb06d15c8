from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import pytest
import torch

from asteroid.models import BaseModel, FasNetTAC
from asteroid.utils.files import atomic_path, remove_leftovers, write_text
from seloss.train import network_package
from seloss.train.callbacks.checkpoints import AtomicCheckpointIO, BestCheckpoints


def test_a_save_that_fails_halfway_keeps_the_old_checkpoint(tmp_path, monkeypatch):
    path, io = tmp_path / "last.ckpt", AtomicCheckpointIO()
    io.save_checkpoint({"weights": torch.ones(3)}, path)

    def disk_full(content, file):
        Path(file).write_bytes(b"half a checkpoint")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", disk_full)
    with pytest.raises(OSError, match="No space left"):
        io.save_checkpoint({"weights": torch.zeros(3)}, path)
    assert torch.equal(io.load_checkpoint(path)["weights"], torch.ones(3))
    assert [p.name for p in tmp_path.iterdir()] == ["last.ckpt"]


def test_what_a_killed_process_left_is_removed(tmp_path):
    with atomic_path(tmp_path / "last.ckpt") as temporary:
        temporary.write_text("half", encoding="utf-8")
        shutil.copy(temporary, left := temporary.with_name(".last.ckpt.999.part"))
    assert left.exists()
    remove_leftovers(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["last.ckpt"]


def test_text_is_replaced_as_a_whole(tmp_path):
    write_text(tmp_path / "new" / "a.csv", "é\n")
    write_text(tmp_path / "new" / "a.csv", "b\n")
    assert (tmp_path / "new" / "a.csv").read_text(encoding="utf-8") == "b\n"


class _Trap:
    def __reduce__(self):
        return (Path, ("/tmp",))


def test_a_checkpoint_that_holds_code_is_refused(tmp_path):
    torch.save({"model_name": _Trap()}, tmp_path / "trap.ckpt")
    with pytest.raises(pickle.UnpicklingError):
        AtomicCheckpointIO().load_checkpoint(tmp_path / "trap.ckpt")
    with pytest.raises(ValueError, match=r"trap\.ckpt is not a checkpoint"):
        network_package(tmp_path / "trap.ckpt")


def _state(folder: Path, scores: dict[str, float]) -> dict[str, object]:
    models = {str(folder / name): torch.tensor(score) for name, score in scores.items()}
    return {"best_k_models": models, "dirpath": str(folder), "best_model_path": "x"}


def test_the_best_are_found_after_a_move_without_those_that_are_gone(tmp_path):
    (tmp_path / "a.ckpt").touch()
    (tmp_path / "b.ckpt").touch()
    keeper = BestCheckpoints(tmp_path, "val/si_sdr", "max", 2)
    keeper.load_state_dict(_state(Path("/old/place"), {"a.ckpt": 3, "gone.ckpt": 9, "b.ckpt": 5}))
    assert keeper.scores() == {str(tmp_path / "a.ckpt"): 3, str(tmp_path / "b.ckpt"): 5}
    assert keeper.best_model_path == str(tmp_path / "b.ckpt")
    assert keeper.kth_best_model_path == str(tmp_path / "a.ckpt")
    assert keeper.kth_value == 3


def test_the_network_of_a_package_is_its_own(tmp_path):
    network = FasNetTAC(
        n_src=2, enc_dim=8, feature_dim=8, hidden_dim=8, n_layers=1, window_ms=16, sample_rate=16000
    )
    torch.save(network.serialize(), tmp_path / "best_model.pth")
    loaded = BaseModel.from_pretrained(network_package(tmp_path / "best_model.pth"))
    for name, value in network.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name])


@pytest.mark.parametrize("content", [{}, {"state_dict": {}}, [1, 2]])
def test_a_file_without_a_network_says_so(tmp_path, content):
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(ValueError, match="does not say which network"):
        network_package(tmp_path / "x.pth")


def test_a_file_that_is_no_checkpoint_says_so(tmp_path):
    (tmp_path / "x.pth").write_text("hello", encoding="utf-8")
    with pytest.raises(ValueError, match=r"x\.pth is not a checkpoint"):
        network_package(tmp_path / "x.pth")
