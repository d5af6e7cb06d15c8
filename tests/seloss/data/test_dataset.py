"""Mixtures as tensors, random by seed, epoch and item alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch

from seloss.data.formats.manifest import DataError, read_manifest
from seloss.data.load.loader import build_loader
from seloss.data.load.mixture_dataset import MixtureDataset
from seloss.data.load.samplers import EpochSampler
from tests.data import SAMPLE_RATE, make_manifest


@pytest.fixture(scope="module")
def mixtures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixtures")
    return read_manifest(make_manifest(folder, n_items=6, n_mics=[2, 4], seconds=[0.3, 0.5, 0.4]))


def dataset(mixtures, **options):
    return MixtureDataset(mixtures, sample_rate=SAMPLE_RATE, **options)


def signals(item, role):
    return torch.from_numpy(np.stack([sf.read(p, dtype="float32")[0] for p in getattr(item, role)]))


def test_whole_utterances_are_the_files(mixtures):
    for index, item in enumerate(mixtures):
        got = dataset(mixtures)[index]
        assert got.id == item.id
        assert torch.equal(got.mixture, signals(item, "mixture"))
        assert torch.equal(got.sources[0], signals(item, "speech")[0])
        assert torch.equal(got.sources[1], signals(item, "noise")[0])
        assert got.mixture.dtype == got.sources.dtype == torch.float32


def find(part, whole):
    """Return where a segment begins in a longer signal."""
    windows = whole.unfold(0, len(part), 1)
    (start,) = (windows == part).all(1).nonzero().flatten().tolist()
    return start


def test_segments_are_cut_at_one_place_from_all_files(mixtures):
    data = dataset(mixtures, segment_s=0.1)
    starts = set()
    for epoch in range(12):
        got = data[(epoch, 1)]
        assert got.mixture.shape == (4, 1600)
        start = find(got.mixture[0], signals(mixtures[1], "mixture")[0])
        cut = slice(start, start + 1600)
        assert torch.equal(got.mixture, signals(mixtures[1], "mixture")[:, cut])
        assert torch.equal(got.sources[0], signals(mixtures[1], "speech")[0, cut])
        assert torch.equal(got.sources[1], signals(mixtures[1], "noise")[0, cut])
        starts.add(start)
    assert len(starts) > 8
    assert max(starts) - min(starts) > 3000


def test_every_start_can_be_drawn(mixtures):
    """A segment one sample shorter than its utterance starts at 0 or at 1."""
    item = replace(mixtures[0], length=mixtures[0].length)
    data = dataset([item], segment_s=(item.length - 1) / SAMPLE_RATE)
    starts = {find(data[(epoch, 0)].mixture[0], signals(item, "mixture")[0]) for epoch in range(20)}
    assert starts == {0, 1}


def test_an_utterance_shorter_than_the_segment_comes_whole(mixtures):
    got = dataset(mixtures, segment_s=0.35)[0]
    assert got.mixture.shape[1] == round(0.3 * SAMPLE_RATE)


def test_draws_depend_on_seed_epoch_and_id_and_on_nothing_else(mixtures):
    def cut(seed=0, epoch=0, items=mixtures, index=1):
        return dataset(items, segment_s=0.1, seed=seed, shuffle_mics=True)[(epoch, index)].mixture

    assert torch.equal(cut(), cut())
    assert torch.equal(cut(), cut(items=list(reversed(mixtures)), index=4))
    assert not torch.equal(cut(), cut(seed=1))
    assert not torch.equal(cut(), cut(epoch=1))
    renamed = [replace(item, id=item.id + "x") for item in mixtures]
    assert not torch.equal(cut(), cut(items=renamed))


def test_shuffled_microphones_take_the_sources_of_the_new_reference(mixtures):
    data = dataset(mixtures, shuffle_mics=True)
    mixture, speech, noise = (signals(mixtures[1], role) for role in ("mixture", "speech", "noise"))
    references = set()
    for epoch in range(20):
        got = data[(epoch, 1)]
        order = [int((mixture == channel).all(1).nonzero()) for channel in got.mixture]
        assert sorted(order) == [0, 1, 2, 3]
        assert torch.equal(got.sources, torch.stack([speech[order[0]], noise[order[0]]]))
        references.add(order[0])
    assert references == {0, 1, 2, 3}


def test_the_most_microphones_are_the_first_ones_or_shuffled_ones(mixtures):
    got = dataset(mixtures, max_mics=3)[1]
    assert torch.equal(got.mixture, signals(mixtures[1], "mixture")[:3])
    assert dataset(mixtures, max_mics=3)[0].mixture.shape[0] == 2
    shuffled = {
        float(dataset(mixtures, max_mics=1, shuffle_mics=True)[(epoch, 1)].mixture.square().sum())
        for epoch in range(20)
    }
    assert len(shuffled) == 4


def test_only_what_is_needed_is_read(mixtures, monkeypatch):
    opened = []
    real = sf.SoundFile

    def watched(path, *rest, **options):
        opened.append(path)
        return real(path, *rest, **options)

    monkeypatch.setattr(sf, "SoundFile", watched)
    dataset(mixtures)[1]
    item = mixtures[1]
    assert [Path(path) for path in opened] == [*item.mixture, item.speech[0], item.noise[0]]


def test_wrong_arguments_and_files_are_refused(mixtures, tmp_path):
    with pytest.raises(ValueError, match="segment_s"):
        dataset(mixtures, segment_s=0.0)
    with pytest.raises(ValueError, match="max_mics"):
        dataset(mixtures, max_mics=0)
    with pytest.raises(DataError, match="no 'speech'"):
        dataset([replace(mixtures[0], speech=())])
    with pytest.raises(ValueError, match="mono at 8000 Hz; got 1 channel"):
        MixtureDataset(mixtures, sample_rate=8000)[0]
    longer = replace(mixtures[0], length=mixtures[0].length + 7)
    with pytest.raises(ValueError, match="ends 7 samples before"):
        dataset([longer])[0]


def test_the_sampler_yields_every_index_once_in_an_order_of_the_epoch():
    sampler = EpochSampler(50, seed=3)
    first = list(sampler)
    assert first == list(sampler)
    assert len(sampler) == 50
    sampler.set_epoch(7)
    second = list(sampler)
    assert {epoch for epoch, _ in second} == {7}
    assert sorted(i for _, i in second) == sorted(i for _, i in first) == list(range(50))
    assert [i for _, i in first] != [i for _, i in second]
    assert [i for _, i in first] != list(range(50))
    assert [i for _, i in first] != [i for _, i in EpochSampler(50, seed=4)]
    assert list(EpochSampler(3, shuffle=False)) == [(0, 0), (0, 1), (0, 2)]


def epochs(mixtures, num_workers, start=0, n_epochs=2):
    loader = build_loader(
        dataset(mixtures, segment_s=0.1, shuffle_mics=True),
        4,
        shuffle=True,
        num_workers=num_workers,
        seed=5,
    )
    batches = []
    for epoch in range(start, n_epochs):
        loader.batch_sampler.sampler.set_epoch(epoch)
        batches.append(list(loader))
    return batches


def same(one, other):
    return all(
        a.ids == b.ids and torch.equal(a.mixture, b.mixture) and torch.equal(a.sources, b.sources)
        for a, b in zip(one, other, strict=True)
    )


def test_workers_and_a_resumed_run_see_the_same_data(mixtures):
    here = epochs(mixtures, 0)
    assert [len(batch.ids) for batch in here[0]] == [4, 2]
    workers = epochs(mixtures, 2)
    assert all(same(a, b) for a, b in zip(here, workers, strict=True))
    resumed = epochs(mixtures, 0, start=1)
    assert same(here[1], resumed[0])
    assert not same(here[0], here[1])


class Noisy(MixtureDataset):
    """A user's dataset that draws from the global generators."""

    def __getitem__(self, key):
        item = super().__getitem__(key)
        item.sources[:, 0] = torch.tensor([np.random.rand(), torch.rand(()).item()])
        return item


def test_workers_seed_the_global_generators(mixtures):
    def drawn(seed):
        data = Noisy(mixtures, sample_rate=SAMPLE_RATE)
        loader = build_loader(data, 1, shuffle=False, num_workers=2, seed=seed)
        return [batch.sources[0, :, 0] for batch in loader]

    first, again, other = drawn(0), drawn(0), drawn(1)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    for source in range(2):
        assert first[0][source] != other[0][source]
        assert len({float(values[source]) for values in first}) == len(first)
