"""Names that pair, names that do not, names that could pair in more than one way."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.testset.pairing import audio_files, match
from tests.evaluation.folder import write_audio


def paired(files: list[str], names: dict[str, tuple[str, ...]], pattern: str | None = None) -> dict:
    found = match([Path(file) for file in files], names, pattern)
    return {key: path.as_posix() for key, path in found.items()}


@pytest.mark.parametrize(
    ("files", "names"),
    [
        pytest.param(
            ["a/x.wav", "b/x.flac"], {"a/x": ("a/x", "x"), "b/x": ("b/x", "x")}, id="path"
        ),
        pytest.param(["deep/u1.wav", "deep/u2.wav"], {"u1": ("u1",), "u2": ("u2",)}, id="stem"),
        pytest.param(["s1.wav", "s2.wav"], {"u1": ("u1", "s1"), "u2": ("u2", "s2")}, id="own file"),
        pytest.param(["u1/e.wav", "u2/e.wav"], {"u1": ("u1", "m"), "u2": ("u2", "m")}, id="folder"),
        pytest.param(
            ["net_u1-enh.wav", "net_u1_2-enh.wav"],
            {"u1": ("u1",), "u1_2": ("u1_2",)},
            id="longest part",
        ),
        pytest.param(
            ["u1.wav", "u10.wav"],
            {"a": ("clean_u1_x",), "b": ("clean_u10_x",)},
            id="part of the reference",
        ),
        pytest.param(
            ["10_enhanced.wav", "enhanced-11.wav"],
            {"10_clean": ("10_clean", "10_noisy"), "clean-11": ("clean-11", "noisy-11")},
            id="role",
        ),
        pytest.param(
            ["u1/a_Denoised.wav", "u2/b_Denoised.wav"],
            {"x": ("SPEECH a",), "y": ("SPEECH b",)},
            id="role in capitals",
        ),
        pytest.param(
            ["Mu\u0308ller_enh.wav", "Ole\u0301.wav"],
            {"Müller": ("Müller",), "Olé": ("Olé",)},
            id="decomposed estimates",
        ),
        pytest.param(
            ["Müller.wav"], {"Mu\u0308ller": ("Mu\u0308ller",)}, id="decomposed references"
        ),
        pytest.param(
            ["句子一_enh.wav", "句子二_enh.wav", "हिन्दी-enh.wav", "हि-enh.wav"],
            {"句子一": ("句子一",), "句子二": ("句子二",), "हिन्दी": ("हिन्दी",), "हि": ("हि",)},
            id="letters of other scripts",
        ),
        pytest.param(
            ["cut [1]_enh.wav", "cut [12]_enh.wav", "(a)_enh.wav"],
            {"cut [1]": ("cut [1]",), "cut [12]": ("cut [12]",), "(a)": ("(a)",)},
            id="brackets",
        ),
    ],
)
def test_rules_in_their_order(files: list[str], names: dict[str, tuple[str, ...]]) -> None:
    assert paired(files, names) == dict(zip(names, files, strict=True))


def test_a_file_of_its_own_name_does_not_go_to_a_part_of_it() -> None:
    names = {"u1": ("u1",), "u1_b": ("u1_b",)}
    assert paired(["u1_b.wav", "u1.wav"], names) == {"u1": "u1.wav", "u1_b": "u1_b.wav"}


def test_who_has_no_partner_is_left_out() -> None:
    assert paired(["u1.wav", "other.wav"], {"u1": ("u1",), "u2": ("u2",)}) == {"u1": "u1.wav"}


@pytest.mark.parametrize(
    ("files", "names", "said"),
    [
        (["u1.wav", "u1.flac"], {"u1": ("u1",)}, r"u1\.flac - u1; u1\.wav - u1"),
        (["x/e.wav"], {"a": ("a", "e"), "b": ("b", "e")}, r"x/e\.wav - a, b"),
        (["1_5.wav"], {"1": ("1",), "5": ("5",)}, r"1_5\.wav - 1, 5"),
        (["u1/a.wav", "u1/b.wav"], {"u1": ("u1",)}, r"u1/a\.wav - u1; u1/b\.wav - u1"),
        (["1_enh.wav", "1_noisy.wav"], {"1_clean": ("1_clean",)}, r"1_enh\.wav - 1_clean; 1_noisy"),
        (["e_1.wav", "1_e.wav"], {"1": ("1",)}, r"1_e\.wav - 1; e_1\.wav - 1"),
    ],
)
def test_what_could_be_two_is_refused(
    files: list[str], names: dict[str, tuple[str, ...]], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        paired(files, names)


def test_a_role_alone_is_no_name() -> None:
    assert paired(["enhanced.wav", "clean_speech.wav"], {"clean": ("clean",)}) == {
        "clean": "clean_speech.wav"
    }
    assert paired(["enhanced.wav"], {"noisy": ("noisy",)}) == {}


def test_a_pattern_says_what_names_have_in_common() -> None:
    files = ["book_1_snr5_fileid_3_enh.wav", "book_3_snr0_fileid_1_enh.wav", "readme_1.wav"]
    names = {"clean_fileid_1": ("clean_fileid_1",), "clean_fileid_3": ("clean_fileid_3",)}
    pattern = r"fileid_(?P<id>\d+)"
    assert paired(files, names, pattern) == {"clean_fileid_1": files[1], "clean_fileid_3": files[0]}
    with pytest.raises(ValueError, match="has no group"):
        match([], {}, "fileid")
    with pytest.raises(ValueError, match="no regular expression"):
        match([], {}, "(fileid")


def test_audio_is_found_in_any_layout(tmp_path: Path) -> None:
    for name in ("b.wav", "deep/er/a.FLAC", ".hidden/c.wav", "mine/r.wav"):
        write_audio(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no audio")
    found = audio_files(tmp_path, leave_out=[tmp_path / "mine" / "r.wav"])
    assert found == [Path("b.wav"), Path("deep/er/a.FLAC")]
    with pytest.raises(FileNotFoundError, match="no folder"):
        audio_files(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="holds no audio"):
        audio_files(tmp_path / "empty")
