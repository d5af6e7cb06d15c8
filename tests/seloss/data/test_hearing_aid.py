"""A sound field heard through the microphones of a head."""

import io
import json

import numpy as np
import pytest
from scipy.io import savemat

from seloss.data.mini.hearing_aid import apply_head, read_head_responses


def harmonics(directions):
    """Return the harmonics up to first order (directions, 4) of unit vectors."""
    x, y, z = directions.T
    return np.stack([np.full(len(x), 0.2821), 0.4886 * y, 0.4886 * z, 0.4886 * x], axis=1)


#: The corners of an octahedron, on which first order is exact.
CORNERS = np.array(
    [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], dtype=float
)


def test_a_wave_is_heard_most_through_the_response_of_its_direction():
    """Each direction's response is a pulse at a delay of its own: the loudest tells where from."""
    responses = np.zeros((6, 1, 60))
    for place in range(6):
        responses[place, 0, 10 * place] = 1.0
    for place, wave in enumerate(harmonics(CORNERS)):
        heard = apply_head(np.outer(wave, [1.0]), harmonics(CORNERS), responses)
        assert heard.shape == (1, 60)
        assert np.abs(heard[0]).argmax() == 10 * place


def test_decoding_is_linear_and_gives_the_field_back():
    draw = np.random.default_rng(0)
    field = draw.standard_normal((4, 30))
    # microphones that are the harmonics themselves: the field comes back as it was
    responses = harmonics(CORNERS)[:, :, None]
    assert np.allclose(apply_head(field, harmonics(CORNERS), responses), field)


def test_more_harmonics_in_the_table_than_in_the_field_are_not_used():
    field = np.random.default_rng(1).standard_normal((1, 8))
    responses = np.ones((6, 2, 1))
    heard = apply_head(field, harmonics(CORNERS), responses)
    assert np.allclose(heard, field / 0.2821)


def mat(taps, rate=48000):
    file = io.BytesIO()
    savemat(file, {"M_data": taps, "srate": np.array([[rate]], dtype=np.uint16)})
    return file.getvalue()


def test_responses_are_read_resampled_and_made_equally_sensitive():
    taps = np.zeros((256, 3, 2))
    taps[60, :, 0], taps[90, :, 1] = 0.5, 0.25
    metadata = json.dumps(
        {"matrix": [[1.0, 0.0], [1.0, 1.0]], "selected_channels": [True, False, True]}
    )
    matrix, responses = read_head_responses(metadata.encode(), [mat(taps), mat(10 * taps)], 16000)
    assert matrix.tolist() == [[1.0, 0.0], [1.0, 1.0]]
    assert responses.shape[:2] == (2, 4)
    assert responses.shape[2] == pytest.approx(256 / 3, abs=1)
    assert np.abs(responses[0]).argmax(-1).tolist() == [20, 30, 20, 30]
    assert np.allclose(responses[:, :2], responses[:, 2:])
    assert np.mean(np.sum(responses[:, :2] ** 2, axis=-1)) == pytest.approx(1.0)
    # left is 6 dB above right, as measured
    assert np.abs(responses[0, 0]).max() / np.abs(responses[0, 1]).max() == pytest.approx(
        2.0, rel=0.01
    )
