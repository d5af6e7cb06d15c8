"""A sound field recorded in spherical harmonics, as hearing-aid microphones would record it.

The field is decoded to loudspeakers all around, and each of them reaches the microphones through
the head-related response of its direction.

Source: the way of the Clarity challenges (pyclarity 0.9.0, ``HOA_tools_cec2``), with one
difference: there the
head-related responses, measured at 48 kHz, meet the field at 44.1 kHz without being resampled.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy.io import loadmat
from scipy.signal import fftconvolve

__all__ = ["apply_head", "read_head_responses"]

Array = NDArray[np.float64]


def apply_head(field: Array, matrix: Array, responses: Array) -> Array:
    """Return (microphones, samples + taps - 1): the field at the microphones.

    Args:
        field: (harmonics, samples).
        matrix: (directions, harmonics or more): the harmonics in each direction.
        responses: (directions, microphones, taps) of the head from these directions.
    """
    # The weakest loudspeaker signals whose harmonics add up to the field.
    speakers = np.linalg.pinv(matrix[:, : len(field)]).T @ field
    images = fftconvolve(speakers[:, None], responses, axes=-1)
    return np.asarray(images.sum(axis=0))


def read_head_responses(
    metadata: bytes, files: Sequence[bytes], sample_rate: int
) -> tuple[Array, Array]:
    """Return the ``matrix`` and the ``responses`` that `apply_head` takes, from Clarity's files.

    Microphones are in the order of the files, left before right. Their sensitivities are made
    equal: the mean energy over all directions and both ears is 1 for each file.

    Args:
        metadata: JSON with ``matrix`` and ``selected_channels``.
        files: MATLAB files with ``M_data`` (taps, directions, ears) and ``srate``.
        sample_rate: Wanted, in Hz.
    """
    fields = json.loads(metadata)
    chosen = np.array(fields["selected_channels"], dtype=bool)
    ears = []
    for content in files:
        held = loadmat(io.BytesIO(content))
        taps = held["M_data"][:, chosen].astype(np.float64)
        file_rate = float(held["srate"].item())
        flat = soxr.resample(taps.reshape(len(taps), -1), file_rate, sample_rate, quality="VHQ")
        pair = flat.reshape(len(flat), *taps.shape[1:])
        ears.append(pair / np.sqrt(np.mean(np.sum(pair**2, axis=0))))
    return np.array(fields["matrix"]), np.concatenate(ears, axis=2).transpose(1, 2, 0)
