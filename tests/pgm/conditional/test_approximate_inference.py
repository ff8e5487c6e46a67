"""Approximate probabilities of conditional random fields: exact on trees, near where they must."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pgm.conditional.templates import GraphTemplate, GridTemplate
from pgm.conditional_random_field import ConditionalRandomField

SEEDS = st.integers(0, 10**6)


def tree(seed: int, n_states: int, scores) -> ConditionalRandomField:
    """A field on a tree of seven nodes with random tables."""
    edges = [(0, 1), (2, 0), (1, 3), (1, 4), (5, 2), (2, 6)]
    field = ConditionalRandomField(GraphTemplate(7, edges), n_states, nn.Identity(), "table")
    field = field.double()
    field.pairwise.tables.data.copy_(scores(seed, 1, n_states, n_states))
    return field


@settings(max_examples=20)
@given(SEEDS, st.booleans())
def test_belief_propagation_is_exact_on_trees(scores, labels, seed, missing):
    field, x = tree(seed, 3, scores), scores(seed, 2, 7, 3)
    y = labels(seed, 3, 2, 7, missing=missing)
    for method in ("belief-propagation", "tree-reweighted"):
        torch.testing.assert_close(
            field.log_prob(x, y, method), field.log_prob(x, y), rtol=1e-7, atol=1e-7
        )
        torch.testing.assert_close(
            field.marginals(x, method), field.marginals(x), rtol=0, atol=1e-7
        )
    best, weight = field.most_probable(x)
    found = field.most_probable(x, "belief-propagation")
    assert torch.equal(found[0], best)
    torch.testing.assert_close(found[1], weight)


@given(SEEDS)
def test_bounds_lie_on_both_sides(table_field, scores, seed):
    field, x = table_field(seed, 2, strength=0.7), scores(seed, 2, 2, 3, 3)
    exact = field.log_partition(x)
    assert (field.log_partition(x, "mean-field") <= exact + 1e-9).all()
    assert (field.log_partition(x, "tree-reweighted") >= exact - 1e-9).all()


@pytest.mark.parametrize(
    ("method", "error"), [("belief-propagation", 2e-4), ("tree-reweighted", 0.03)]
)
def test_weak_coupling_is_nearly_exact(table_field, scores, labels, method, error):
    field, x, y = table_field(0, 2, strength=0.1), scores(0, 4, 2, 4, 4), labels(0, 2, 4, 4, 4)
    assert (field.log_prob(x, y, method) - field.log_prob(x, y)).abs().max() < error
    assert (field.marginals(x, method) - field.marginals(x)).abs().max() < error


@given(SEEDS, st.sampled_from([4, 8]))
def test_the_pseudo_likelihood_multiplies_conditionals(
    table_field, grid_law, scores, labels, seed, neighbours
):
    field = table_field(seed, 2, neighbours=neighbours)
    x, y = scores(seed, 1, 2, 3, 3), labels(seed, 2, 9)
    law = grid_law(x[0], field.pairwise.tables, neighbours)
    total = torch.zeros((), dtype=torch.float64)
    for node in range(9):
        others = y.clone()
        others[node] = -1
        total = total + law.log_prob(y) - law.log_prob(others)
    found = field.log_prob(x, y.reshape(1, 3, 3), "pseudo-likelihood")
    assert found.item() == pytest.approx(total.item(), abs=1e-9)


def test_the_pseudo_likelihood_counts_complete_neighbourhoods_only(
    table_field, grid_law, scores, labels
):
    field, x, y = table_field(1, 2), scores(1, 1, 2, 3, 3), labels(1, 2, 9)
    y[0] = -1  # with it go its neighbours 1 and 3
    law = grid_law(x[0], field.pairwise.tables)
    total = torch.zeros((), dtype=torch.float64)
    for node in (2, 4, 5, 6, 7, 8):
        # What is missing is no neighbour: any value gives the same conditional.
        seen = y.clone()
        seen[0] = 1
        others = seen.clone()
        others[node] = -1
        total = total + law.log_prob(seen) - law.log_prob(others)
    found = field.log_prob(x, y.reshape(1, 3, 3), "pseudo-likelihood")
    assert found.item() == pytest.approx(total.item(), abs=1e-9)
    nothing = torch.full((1, 3, 3), -1)
    assert field.log_prob(x, nothing, "pseudo-likelihood").item() == 0.0
    assert field.log_prob(x, nothing).item() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("method", ["belief-propagation", "tree-reweighted", "mean-field"])
def test_gradients_at_the_fixed_point_equal_finite_differences(
    table_field, scores, labels, method
):
    field, y = table_field(2, 2, strength=0.5), labels(2, 2, 1, 3, 3)
    x = scores(2, 1, 2, 3, 3)
    leaf = x.clone().requires_grad_()
    (found,) = torch.autograd.grad(field.log_prob(leaf, y, method).sum(), leaf)
    step, numeric = 1e-4, torch.zeros_like(x).flatten()
    for place in range(x.numel()):
        shift = torch.zeros_like(numeric)
        shift[place] = step
        values = [
            field.log_prob(x + sign * shift.view_as(x), y, method).item() for sign in (1, -1)
        ]
        numeric[place] = (values[0] - values[1]) / (2 * step)
    torch.testing.assert_close(found.flatten(), numeric, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", ["belief-propagation", "mean-field", "icm"])
@pytest.mark.parametrize("neighbours", [4, 8])
def test_no_change_of_one_label_improves_what_is_found(table_field, scores, method, neighbours):
    field, x = table_field(3, 3, neighbours=neighbours), scores(3, 4, 3, 5, 5)
    y, weight = field.most_probable(x, method)
    _, best = field.most_probable(x)
    assert (weight <= best + 1e-9).all()
    for row in range(5):
        for column in range(5):
            for state in range(3):
                changed = y.clone()
                changed[:, row, column] = state
                assert (-field.energy(x, changed) <= weight + 1e-9).all()


def test_labellings_that_hard_zeros_forbid_are_left(table_field, scores):
    field, x = table_field(4, 2, strength=0.3), scores(4, 1, 2, 3, 3)
    field.pairwise.tables.data[:, 0, 1] = -math.inf
    for method in ("belief-propagation", "icm"):
        assert field.most_probable(x, method)[1].isfinite().all()


def test_a_field_without_edges_is_independent_softmax(scores, labels):
    field = ConditionalRandomField(GridTemplate(4), 3, nn.Identity())
    x, y = scores(0, 2, 3, 2, 2), labels(0, 3, 2, 2, 2)
    log_p = x.log_softmax(1)
    expected = log_p.gather(1, y[:, None]).sum((1, 2, 3))
    for method in ("exact", "belief-propagation", "mean-field", "pseudo-likelihood"):
        found = field.log_prob(x, y, method)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-8)
    torch.testing.assert_close(field.marginals(x), log_p.exp(), rtol=0, atol=1e-12)
    assert torch.equal(field.most_probable(x)[0], x.argmax(1))


def test_a_chain_equals_pytorch_crf(scores, labels):
    torchcrf = pytest.importorskip("torchcrf")
    peer = torchcrf.CRF(3, batch_first=True).double()
    field = ConditionalRandomField(GridTemplate(2), 3, nn.Identity(), "table").double()
    field.pairwise.tables.data[0] = peer.transitions.data
    x, y = scores(0, 4, 6, 3), labels(0, 3, 4, 6)
    with_ends = x.clone()
    with_ends[:, 0] += peer.start_transitions.detach()
    with_ends[:, -1] += peer.end_transitions.detach()
    found = field.log_prob(with_ends.mT, y)
    everywhere = torch.ones_like(y, dtype=torch.bool)
    expected = peer(x, y, everywhere, reduction="none")
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    assert field.most_probable(with_ends.mT)[0].tolist() == peer.decode(x, everywhere)


def test_a_chain_equals_the_linear_chain(scores, labels):
    module = pytest.importorskip("pgm.linear_chain_crf")
    chain = module.LinearChainCRF(3).double()
    with torch.no_grad():
        for number, parameter in enumerate(chain.parameters()):
            parameter.copy_(scores(number, *parameter.shape))
    field = ConditionalRandomField(GridTemplate(2), 3, nn.Identity(), "table").double()
    field.pairwise.tables.data[0] = chain.transitions.data
    x, y = scores(0, 4, 6, 3), labels(0, 3, 4, 6)
    with_ends = x.clone()
    with_ends[:, 0] += chain.start.detach()
    with_ends[:, -1] += chain.end.detach()
    torch.testing.assert_close(
        field.log_prob(with_ends.mT, y), chain.log_prob(x, y), rtol=1e-9, atol=1e-9
    )


def test_belief_propagation_is_given_the_rounds_that_couplings_about_to_order_need():
    field = ConditionalRandomField(GridTemplate(4), 2, nn.Identity()).double()
    field.pairwise.coupling.data.fill_(0.74)  # where 1,600 rounds are needed
    x = torch.zeros(1, 2, 12, 12, dtype=torch.float64)
    x[0, 0, :6], x[0, 0, 6:] = 0.02, -0.0201
    share = field.marginals(x, "belief-propagation")[0, 0]
    assert (share[0] > 0.5).all()
    assert (share[-1] < 0.5).all()
    turned = field.marginals(x.flip(1), "belief-propagation")[0, 1]
    torch.testing.assert_close(share, turned, rtol=0, atol=1e-7)
