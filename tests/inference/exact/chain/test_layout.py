"""Every token has one column, found from either side."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inference.exact.chain.layout import ChainLayout

LENGTHS = st.lists(st.integers(0, 7), max_size=8)


@given(LENGTHS)
def test_columns_are_what_a_loop_over_time_and_rank_gives(lengths):
    layout = ChainLayout(lengths)
    order = sorted(range(len(lengths)), key=lambda b: -lengths[b])
    offsets = np.cumsum([0, *lengths])
    tokens, owners, steps = [], [], []
    for t in range(max(lengths, default=0)):
        assert layout.starts[t] == len(tokens)
        for b in order:
            if t < lengths[b]:
                tokens.append(offsets[b] + t)
                owners.append(b)
                steps.append(t)
    assert layout.order.tolist() == order
    assert layout.tokens.tolist() == tokens
    assert layout.owners.tolist() == owners
    assert layout.steps.tolist() == steps
    assert layout.columns[layout.tokens].tolist() == list(range(sum(lengths)))
    for b, length in enumerate(lengths):
        ends = [tokens.index(offsets[b]), tokens.index(offsets[b + 1] - 1)] if length else [-1, -1]
        assert [layout.first[b], layout.last[b]] == ends
    later = [c for c in range(len(tokens)) if steps[c]]
    assert [tokens[c] for c in layout.previous] == [tokens[c] - 1 for c in later]


@given(LENGTHS)
def test_packing_and_unpacking_are_inverse(lengths):
    layout = ChainLayout(lengths)
    rows = np.arange(2.0 * sum(lengths)).reshape(-1, 2)
    np.testing.assert_array_equal(layout.unpack(layout.pack(rows)), rows)
    packed = layout.pack(torch.from_numpy(rows))
    padded = layout.unpack_padded(packed, layout.n_steps + 1, fill=-1)
    assert padded.shape == (len(lengths), layout.n_steps + 1, 2)
    mask = torch.arange(layout.n_steps + 1) < torch.tensor(lengths, dtype=torch.int64)[:, None]
    np.testing.assert_array_equal(padded[mask].numpy(), rows)
    assert (padded[~mask] == -1).all()
    assert torch.equal(layout.pack_padded(padded), packed)
    np.testing.assert_array_equal(layout.pack_padded(padded.numpy()), packed.numpy())


@given(LENGTHS, st.integers(1, 4))
def test_strips_cover_all_columns_once_and_never_widen(lengths, width):
    layout = ChainLayout(lengths)
    seen = []
    for strip in layout.strips(width):
        widths = [step.stop - step.start for step in strip]
        assert widths == sorted(widths, reverse=True) and 0 < widths[-1] <= widths[0] <= width
        seen += [c for step in strip for c in range(step.start, step.stop)]
    assert sorted(seen) == list(range(sum(lengths)))


@given(LENGTHS, st.randoms(use_true_random=False))
def test_a_selection_keeps_the_tokens_of_its_sequences(lengths, random):
    layout = ChainLayout(lengths)
    some = np.array(sorted(random.sample(range(len(lengths)), len(lengths) // 2)), dtype=np.int64)
    chosen, columns = layout.select(some)
    assert chosen.lengths.tolist() == [lengths[b] for b in some]
    assert layout.owners[columns].tolist() == some[chosen.owners].tolist()
    assert layout.steps[columns].tolist() == chosen.steps.tolist()


@pytest.mark.parametrize("lengths", [[1.5], [[1]], ["a"], 3])
def test_lengths_of_another_kind_are_refused(lengths):
    with pytest.raises(ValueError, match="lengths must be a vector of whole numbers"):
        ChainLayout(lengths)


def test_a_negative_length_is_refused_with_its_sequence():
    with pytest.raises(ValueError, match="found -2 for sequence 1"):
        ChainLayout(torch.tensor([3, -2]))
