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
from seloss.train.run.checkpoint import newest_checkpoint


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


@pytest.mark.parametrize("name", ["last.ckpt", "timed.ckpt"])
def test_a_worker_that_dies_while_a_checkpoint_is_saved_is_not_taken_for_a_full_disk(
    tmp_path, monkeypatch, name
):
    """PyTorch's handler of the signal raises wherever the program is."""

    def dies(content, file):
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. ")

    monkeypatch.setattr(torch, "save", dies)
    with pytest.raises(RuntimeError, match=r"^DataLoader worker \(pid 7\)"):
        AtomicCheckpointIO().save_checkpoint({}, tmp_path / name)


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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hello", r"x\.pth is not a checkpoint"),
        (b"", r"x\.pth is not a checkpoint"),
        ({}, "does not say which network"),
        ({"state_dict": {}}, "does not say which network"),
        ([1, 2], "does not say which network"),
    ],
)
def test_a_file_without_a_network_says_so(tmp_path, content, message):
    path = tmp_path / "x.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(ValueError, match=message):
        network_package(path)


def checkpoints(folder: Path, **contents: int | bytes) -> None:
    """Write checkpoints with so many steps behind them, or with these bytes."""
    for name, content in contents.items():
        path = folder / f"{name}.ckpt"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            torch.save({"global_step": content, "state_dict": {}}, path)


def test_the_newest_readable_checkpoint_is_resumed(tmp_path, caplog):
    assert newest_checkpoint(tmp_path) is None
    checkpoints(tmp_path, last=5, timed=9, requeue=7)
    assert newest_checkpoint(tmp_path).name == "timed.ckpt"
    checkpoints(tmp_path, timed=b"half a checkpoint")
    assert newest_checkpoint(tmp_path).name == "requeue.ckpt"
    assert "timed.ckpt cannot be read" in caplog.text


def test_a_run_killed_between_the_checkpoints_of_its_first_epoch_is_resumed(tmp_path, caplog):
    checkpoints(tmp_path, best=3)
    assert newest_checkpoint(tmp_path, epochs=1).name == "best.ckpt"
    assert "was not written before the run was killed" in caplog.text
    with pytest.raises(ValueError, match="is missing"):
        newest_checkpoint(tmp_path, epochs=2)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ({"best": 3, "better": 5}, r"last\.ckpt is missing, .*; better\.ckpt is good: .* cp "),
        ({"last": b"", "best": 3}, r"last\.ckpt cannot be read \(.+\), .*; best\.ckpt is good"),
        ({"last": b"PK\3\4 cut"}, r"last\.ckpt cannot be read .*no other checkpoint can be read"),
        ({"best": b"cut"}, r"last\.ckpt is missing, .*restore one from a copy\. Or start again"),
    ],
)
def test_a_damaged_or_missing_last_checkpoint_is_named_and_a_good_one_offered(
    tmp_path, contents, message
):
    checkpoints(tmp_path, **contents)
    with pytest.raises(ValueError, match=message):
        newest_checkpoint(tmp_path)
