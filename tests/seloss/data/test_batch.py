"""Items of different sizes become one batch."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from seloss.data.formats.batch import Item, collate

SIZES = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 40)), min_size=1, max_size=5)


@given(SIZES)
def test_items_are_kept_and_the_rest_is_zero(sizes):
    torch_seed = torch.Generator().manual_seed(0)
    items = [
        Item(
            torch.rand(mics, n, generator=torch_seed) + 1,
            torch.rand(2, n, generator=torch_seed) + 1,
            f"i{mics}-{n}",
        )
        for mics, n in sizes
    ]
    batch = collate(items)
    assert batch.mixture.shape == (len(sizes), max(m for m, _ in sizes), max(n for _, n in sizes))
    assert batch.sources.shape == (len(sizes), 2, max(n for _, n in sizes))
    assert batch.n_mics.tolist() == [m for m, _ in sizes]
    assert batch.lengths.tolist() == [n for _, n in sizes]
    assert batch.n_mics.dtype == batch.lengths.dtype == torch.long
    assert batch.ids == tuple(item.id for item in items)
    for row, item in enumerate(items):
        mics, n = item.mixture.shape
        assert torch.equal(batch.mixture[row, :mics, :n], item.mixture)
        assert torch.equal(batch.sources[row, :, :n], item.sources)
        assert not batch.mixture[row, mics:].any()
        assert not batch.mixture[row, :, n:].any()
        assert not batch.sources[row, :, n:].any()
