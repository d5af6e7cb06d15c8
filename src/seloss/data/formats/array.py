"""Noisy and clean segments in one ``.npy`` array, with a JSON file beside it that describes them.

Training and validation arrays are ``[item, signal, sample]``, test arrays ``[noise class, SNR
class, item, signal, sample]``; signal 0 is noisy, signal 1 clean. ``train.npy`` is described by
``train.npy.json``::

    {"layout": "item, signal, sample", "shape": [3696, 2, 48000], "sample_rate": 16000,
     "axes": {},
     "items": {"id": [...], "speaker": [...], "noise_type": [...], "snr_db": [...], "seen": [...],
               "length": [...], "transcript": [...]}}

with one entry per item in each list of ``items`` (test: in the order of the array), of which only
``id`` must be there; ``length`` is how many samples come before the zeros that pad a segment up. A
test array's ``axes`` name its classes: ``{"noise_class": ["seen", "unseen"], "snr_db": [-10, 0]}``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from asteroid.utils.files import write_text

from .mixture import DataError, Problem

__all__ = [
    "AXES",
    "LAYOUTS",
    "NOISE_CLASSES",
    "ArrayInfo",
    "read_header",
    "read_info",
    "sidecar_of",
    "write_info",
]

LAYOUTS = {3: "item, signal, sample", 5: "noise class, snr class, item, signal, sample"}
EXPECTED = (
    "expected floating-point [N, 2, samples] (training, validation) or [noise class, SNR class, N, "
    "2, samples] (test), signal 0 noisy and 1 clean"
)
#: What the first two axes of a test array stand for.
AXES = ("noise_class", "snr_db")
NOISE_CLASSES = ("seen", "unseen")
_FIELDS = ("speaker", "noise_type", "snr_db", "seen", "length", "transcript")


@dataclass(frozen=True)
class ArrayInfo:
    """What an array holds.

    Attributes:
        path: The ``.npy`` file.
        shape: Its shape.
        sample_rate: Hz.
        ids: Name of each item, in the order of the array.
        columns: Further facts of each item, such as ``snr_db``; None where unknown.
        axes: Of a test array, the noise classes and the SNR classes.
        made_of: What it was made of, so that another start knows whether it is the same.
    """

    path: Path
    shape: tuple[int, ...]
    sample_rate: int
    ids: tuple[str, ...]
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    axes: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    made_of: str = ""

    def fact(self, name: str, index: int) -> Any:
        """Return a fact of an item, None if it is unknown."""
        return self.columns[name][index] if name in self.columns else None


def sidecar_of(path: str | Path) -> Path:
    """Return the JSON file that describes an array."""
    path = Path(path)
    return path.with_name(f"{path.name}.json")


def _refuse(path: Path, what: str, item: str = "array") -> DataError:
    return DataError(str(path), [Problem(0, item, what)])


def read_header(path: str | Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and type of an array of segments, from its header.

    Raises:
        FileNotFoundError: If there is no such file.
        DataError: If it is no such array, or the file ends before its header says.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no array {path}; egs/DCCRN/local/prepare.py makes one")
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise _refuse(path, f"is not a whole .npy array ({error}); {EXPECTED}") from None
    if not isinstance(array, np.ndarray):
        raise _refuse(path, f"is an .npz archive of arrays; {EXPECTED}")
    shape, dtype = array.shape, array.dtype
    if dtype.kind != "f" or len(shape) not in LAYOUTS or shape[-2] != 2 or not math.prod(shape):
        raise _refuse(path, f"is {dtype} {list(shape)}; {EXPECTED}")
    return shape, dtype


def read_info(path: str | Path, *, sample_rate: int | None = None) -> ArrayInfo:
    """Return what an array holds; its samples are not looked at.

    Args:
        path: The ``.npy`` file.
        sample_rate: That it must have, Hz; None: any.

    Raises:
        FileNotFoundError: If the array or its description is missing.
        DataError: If they do not fit each other or the layout, or the rate is another.
    """
    path = Path(path)
    shape, _ = read_header(path)
    sidecar = sidecar_of(path)
    if not sidecar.is_file():
        raise FileNotFoundError(
            f"{path} has no description {sidecar.name} beside it; "
            f"egs/DCCRN/local/prepare.py --describe {path} writes one"
        )
    try:
        spec = json.loads(sidecar.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _refuse(sidecar, f"is not JSON: {error}") from None
    info = _from_json(path, sidecar, spec)
    if info.shape != shape:
        raise _refuse(path, f"is {list(shape)}, but {sidecar.name} says {list(info.shape)}")
    if sample_rate is not None and info.sample_rate != sample_rate:
        rates = f"has a sampling rate of {info.sample_rate} Hz, expected {sample_rate}"
        raise _refuse(path, f"{rates}; prepare it again with --sample_rate {sample_rate}")
    return info


def _from_json(path: Path, sidecar: Path, spec: Any) -> ArrayInfo:
    wrong = _wrong_description(spec)
    if wrong:
        raise _refuse(sidecar, f"{wrong}; see seloss.data.formats.array for the format; {EXPECTED}")
    items = spec["items"]
    return ArrayInfo(
        path,
        tuple(spec["shape"]),
        int(spec["sample_rate"]),
        tuple(items["id"]),
        {name: items[name] for name in _FIELDS if name in items},
        spec.get("axes") or {},
        str(spec.get("made_of", "")),
    )


def _wrong_description(spec: Any) -> str | None:
    """Return what is wrong with a description, None if nothing is."""
    if not isinstance(spec, dict) or not {"shape", "sample_rate", "items"} <= spec.keys():
        return "must be an object with shape, sample_rate and items"
    shape, items = spec["shape"], spec["items"]
    if not isinstance(items, dict) or not isinstance(items.get("id"), list):
        return "'items' must hold the list 'id'"
    if len(shape) not in LAYOUTS or spec.get("layout", LAYOUTS[len(shape)]) != LAYOUTS[len(shape)]:
        return f"'layout' {spec.get('layout')!r} and 'shape' {shape} do not belong together"
    count = math.prod(shape[:-2])
    for name, values in items.items():
        if len(values) != count:
            return f"'items' must hold {count} of {name!r}; got {len(values)}"
    if len(set(items["id"])) < count:
        return "an 'id' is given twice"
    if len(shape) == 5:
        return _wrong_axes(shape, spec.get("axes") or {})
    return _wrong_lengths(items.get("length") or [], shape[-1])


def _wrong_lengths(lengths: Sequence[Any], samples: int) -> str | None:
    bad = [value for value in lengths if not isinstance(value, int) or not 0 < value <= samples]
    return f"'length' must lie between 1 and {samples}; got {bad[0]!r}" if bad else None


def _wrong_axes(shape: Sequence[int], axes: Mapping[str, Any]) -> str | None:
    for name, size in zip(AXES, shape, strict=False):
        classes = axes.get(name)
        if not isinstance(classes, list) or len(classes) != size:
            actual = "none" if classes is None else ", ".join(str(name) for name in classes)
            what = "noise class" if name == "noise_class" else "SNR class"
            return f"axes.{name} must name each {what} of the {size} in the array; got {actual}"
    missing = [name for name in axes["noise_class"] if name not in NOISE_CLASSES]
    if missing:
        return f"a noise class must be one of {', '.join(NOISE_CLASSES)}; got {missing[0]!r}"
    return None


def write_info(info: ArrayInfo) -> None:
    """Write the description of an array beside it, in one step."""
    spec = {
        "layout": LAYOUTS[len(info.shape)],
        "shape": list(info.shape),
        "sample_rate": info.sample_rate,
        "signals": ["noisy", "clean"],
        "axes": dict(info.axes),
        "made_of": info.made_of,
        "items": {"id": list(info.ids), **{k: list(v) for k, v in info.columns.items()}},
    }
    write_text(sidecar_of(info.path), json.dumps(spec, ensure_ascii=False, allow_nan=False) + "\n")
