"""Files are whole or absent."""

import pytest

from asteroid.utils.files import atomic_path


def test_the_file_appears_when_the_block_ends(tmp_path):
    target = tmp_path / "new" / "a.wav"
    with atomic_path(target) as temporary:
        temporary.write_text("whole")
        assert temporary.suffix == ".wav"
        assert temporary.parent == target.parent
        assert not target.exists()
    assert target.read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")

    def fail():
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]
