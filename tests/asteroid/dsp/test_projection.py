import fast_bss_eval
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asteroid.dsp.projection import decompose, project, remove_mean


def _signals(n_signals, batch=3, n_samples=400, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n_signals, batch, n_samples, generator=generator, dtype=torch.float64)


def _db(numerator, denominator):
    return 10 * torch.log10(numerator.square().sum(-1) / denominator.square().sum(-1))


def test_mean_is_removed_from_a_copy_and_padding_does_not_count():
    signal = torch.tensor([[1.0, 2.0, 3.0, 99.0], [4.0, 4.0, 4.0, 4.0]])
    kept = signal.clone()
    expected = torch.tensor([[-1.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    torch.testing.assert_close(remove_mean(signal, torch.tensor([3, 4])), expected)
    assert torch.equal(signal, kept)


def test_projection_and_distortion_add_up_and_are_orthogonal():
    estimate, target = _signals(2)
    projection = project(estimate, target)
    centred = remove_mean(target)
    part = projection.scale[:, None] * centred
    torch.testing.assert_close(part + projection.distortion, remove_mean(estimate))
    assert (part * projection.distortion).sum(-1).abs().max() < 1e-10


@pytest.mark.parametrize("noise_in_target", [0.0, 0.3, -0.8])
def test_joint_decomposition_agrees_with_fast_bss_eval(noise_in_target):
    estimate, target, noise = _signals(3)
    noise = noise + noise_in_target * target
    parts = decompose(estimate + target + 0.5 * noise, target, noise)
    sources = torch.stack([target, noise], 1)
    mixed = torch.stack([estimate + target + 0.5 * noise, noise], 1)
    sdr, sir, sar = fast_bss_eval.si_bss_eval_sources(
        sources, mixed, zero_mean=True, compute_permutation=False
    )
    torch.testing.assert_close(_db(parts.target, parts.interference), sir[:, 0])
    torch.testing.assert_close(_db(parts.target, parts.interference + parts.artefact), sdr[:, 0])
    torch.testing.assert_close(_db(parts.target + parts.interference, parts.artefact), sar[:, 0])


def test_an_estimate_without_artefacts_has_none_though_noise_and_speech_are_correlated():
    target, noise = _signals(2)
    noise = noise + 0.5 * target
    joint = decompose(target + 0.25 * noise, target, noise)
    separate = decompose(target + 0.25 * noise, target, noise, decomposition="separate")
    assert joint.artefact.abs().max() < 1e-12
    assert separate.artefact.abs().max() > 0.01  # the published way sees artefacts that are none


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), alike=st.floats(-1, 1), gain_db=st.floats(-60, 40))
def test_energies_of_the_parts_add_up_at_any_level_and_correlation(seed, alike, gain_db):
    estimate, target, noise = 10 ** (gain_db / 20) * _signals(3, seed=seed)
    parts = decompose(estimate, target, noise + alike * target)
    total = remove_mean(estimate).square().sum(-1)
    torch.testing.assert_close(sum(part.square().sum(-1) for part in parts), total)


@pytest.mark.parametrize("decomposition", ["joint", "separate"])
def test_an_utterance_has_the_same_parts_alone_and_in_a_padded_batch(decomposition):
    signals = _signals(3, batch=2, n_samples=300)
    padded = signals.clone()
    padded[:, 1, 200:] = 1e3
    lengths = torch.tensor([300, 200])
    batch = decompose(*padded, decomposition=decomposition, lengths=lengths)
    alone = decompose(*signals[:, 1:, :200], decomposition=decomposition)
    for together, single in zip(batch, alone, strict=True):
        torch.testing.assert_close(together[1:, :200], single)
        assert not together[1, 200:].any()


def test_silent_target_or_noise_takes_no_part():
    estimate, target, _ = _signals(3)
    silence = torch.zeros_like(target)
    assert not decompose(estimate, silence, target).target.any()
    assert not decompose(estimate, target, silence).interference.any()
    torch.testing.assert_close(
        decompose(estimate, silence, silence).artefact, remove_mean(estimate)
    )


def test_noise_that_is_a_multiple_of_the_target_is_no_interference():
    estimate, target, _ = _signals(3)
    parts = decompose(estimate, target, -2 * target)
    assert not parts.interference.any()


def test_wrong_arguments_are_refused_with_what_came():
    estimate, target, noise = _signals(3)
    with pytest.raises(ValueError, match=r"\(3, 400\) and \(3, 399\)"):
        project(estimate, target[:, 1:])
    with pytest.raises(ValueError, match="joint, separate; got 'both'"):
        decompose(estimate, target, noise, decomposition="both")
    with pytest.raises(ValueError, match="lengths must be from 1 to 400"):
        project(estimate, target, lengths=torch.tensor([400, 0, 400]))
    with pytest.raises(ValueError, match=r"lengths must have shape \(3,\)"):
        project(estimate, target, lengths=torch.tensor([400]))
