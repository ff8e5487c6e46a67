"""Exact probabilities of conditional random fields against the enumeration of all labellings."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pgm.conditional.templates import GraphTemplate, GridTemplate
from pgm.conditional_random_field import ConditionalRandomField

SEEDS = st.integers(0, 10**6)
SHAPES = st.sampled_from([(3, 3, 2), (2, 4, 2), (1, 4, 3), (2, 3, 3), (1, 1, 4), (4, 1, 2)])


@given(SEEDS, SHAPES, st.sampled_from([4, 8]), st.booleans())
def test_log_probabilities_equal_enumeration(
    table_field, grid_law, scores, labels, seed, shape, neighbours, missing
):
    height, width, n_states = shape
    field = table_field(seed, n_states, neighbours=neighbours)
    x = scores(seed, 2, n_states, height, width)
    y = labels(seed, n_states, 2, height, width, missing=missing)
    laws = [grid_law(one, field.pairwise.tables, neighbours) for one in x]
    expected = [law.log_prob(one.flatten()) for law, one in zip(laws, y, strict=True)]
    torch.testing.assert_close(field.log_prob(x, y), torch.stack(expected), rtol=1e-10, atol=1e-10)
    totals = torch.stack([law.log_partition for law in laws])
    torch.testing.assert_close(field.log_partition(x), totals, rtol=1e-10, atol=1e-10)
    marginals = torch.stack([law.marginals(n_states).T.reshape(x[0].shape) for law in laws])
    torch.testing.assert_close(field.marginals(x), marginals.detach(), rtol=1e-9, atol=1e-12)


@given(SEEDS, SHAPES)
def test_the_most_probable_labelling_is_the_heaviest(table_field, grid_law, scores, seed, shape):
    height, width, n_states = shape
    field = table_field(seed, n_states)
    x = scores(seed, 3, n_states, height, width)
    found, weight = field.most_probable(x)
    for one, y, total in zip(x, found, weight, strict=True):
        law = grid_law(one, field.pairwise.tables)
        best = int(law.log_weights.argmax())
        assert torch.equal(law.labellings[best], y.flatten())
        assert total.item() == pytest.approx(law.log_weights[best].item(), abs=1e-10)


@given(SEEDS, st.booleans())
def test_gradients_equal_those_of_the_enumeration(
    table_field, grid_law, scores, labels, seed, missing
):
    field = table_field(seed, 2)
    x = scores(seed, 1, 2, 3, 3).requires_grad_()
    y = labels(seed, 2, 1, 3, 3, missing=missing)
    tables = field.pairwise.tables
    found = torch.autograd.grad(field.log_prob(x, y).sum(), [x, tables])
    value = grid_law(x[0], tables).log_prob(y.flatten())
    for ours, theirs in zip(found, torch.autograd.grad(value, [x, tables]), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("method", ["exact", "pseudo-likelihood"])
def test_gradients_equal_finite_differences(table_field, scores, labels, method):
    field, y = table_field(3, 2), labels(4, 2, 2, 3, 3)
    x = scores(5, 2, 2, 3, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: field.log_prob(x, y, method), [x])


def test_hard_zeros_are_exact_and_have_gradients(table_field, grid_law, scores):
    field = table_field(1, 3)
    field.pairwise.tables.data[0, 1, 2] = -math.inf
    x = scores(2, 1, 3, 2, 3)
    x[0, 0, 1, 1] = -math.inf
    x.requires_grad_()
    law = grid_law(x[0].detach(), field.pairwise.tables.detach())
    allowed = law.labellings[law.log_weights > -math.inf][3].reshape(1, 2, 3)
    value = field.log_prob(x, allowed)
    assert value.item() == pytest.approx(law.log_prob(allowed.flatten()).item(), abs=1e-10)
    for gradient in torch.autograd.grad(value.sum(), [x, field.pairwise.tables]):
        assert gradient.isfinite().all()
    forbidden = torch.tensor([[[1, 2, 1], [1, 1, 1]]])
    assert field.log_prob(x, forbidden).item() == -math.inf
    assert field.marginals(x)[0, 0, 1, 1].item() == 0.0


def test_impossible_inputs(table_field, scores):
    field, x = table_field(1, 2), scores(1, 2, 2, 2, 2)
    x[1, :, 0, 0] = -math.inf
    assert field.log_partition(x)[1].item() == -math.inf
    assert not field.marginals(x)[0].isnan().any() and field.marginals(x)[1].isnan().all()
    y = torch.zeros(2, 2, 2, dtype=torch.int64)
    assert field.log_prob(x, y)[1].item() == -math.inf
    with pytest.raises(ValueError, match=r"x\[1\] leaves no labelling possible"):
        field.most_probable(x)
    with pytest.raises(ValueError, match=r"x\[1\] leaves no labelling possible"):
        field.sample(x, generator=0)


@given(SEEDS)
def test_potts_and_contrast_reward_equal_labels(law, grid_edges, scores, seed):
    template = GridTemplate(4)
    edges = grid_edges(2, 3, template.offsets)
    pairs = [(i, j) for i, j, _ in edges]
    image = scores(seed, 2, 3, 2, 3)
    unary = nn.Conv2d(3, 2, 1).double()
    for form in ("potts", "contrast"):
        field = ConditionalRandomField(template, 2, unary, form).double()
        weights = list(field.pairwise.parameters())
        for number, weight in enumerate(weights):
            weight.data.copy_(scores(seed + number, 2))
        for x in image:
            pixels = x.reshape(3, -1).T
            squares = torch.stack([(pixels[i] - pixels[j]).square().sum() for i, j in pairs])
            similar = torch.exp(-squares / (2 * squares.mean()))
            tables = []
            for (_, _, kind), close in zip(edges, similar, strict=True):
                reward = weights[0][kind] + (weights[1][kind] * close if len(weights) > 1 else 0)
                tables.append(reward * torch.eye(2).double())
            expected = law(unary(x).reshape(2, -1).T, pairs, tables).marginals(2)
            found = field.marginals(x[None])[0].reshape(2, -1).T
            torch.testing.assert_close(found, expected.detach(), rtol=1e-9, atol=1e-12)


def test_an_image_without_contrast_is_no_exception():
    field = ConditionalRandomField(GridTemplate(4), 2, nn.Conv2d(1, 2, 1), "contrast")
    assert field.marginals(torch.ones(1, 1, 2, 2)).sum(1).allclose(torch.ones(1, 2, 2).double())


def test_a_module_may_give_the_tables_of_a_grid(law, grid_edges, scores):
    template = GridTemplate(8)
    pairwise = nn.Conv2d(1, 4 * 9, 1).double()
    unary = nn.Conv2d(1, 3, 1).double()
    field = ConditionalRandomField(template, 3, unary, pairwise)
    x = scores(0, 2, 1, 2, 2)
    edges = grid_edges(2, 2, template.offsets)
    for number in range(2):
        maps = pairwise(x)[number].reshape(4, 3, 3, 4)
        tables = [maps[kind, :, :, i] for i, _, kind in edges]
        nodes = unary(x)[number].reshape(3, -1).T
        expected = law(nodes, [(i, j) for i, j, _ in edges], tables)
        found = field.log_partition(x)[number]
        assert found.item() == pytest.approx(expected.log_partition.item(), abs=1e-10)


def test_a_module_may_give_the_tables_of_a_graph(law, scores):
    class Tables(nn.Module):
        def forward(self, x):
            return scores(1, 2, 4, 2, 2) * x.mean()

    pairs = [(0, 1), (2, 1), (0, 3), (3, 2)]
    field = ConditionalRandomField(GraphTemplate(4, pairs), 2, nn.Linear(3, 2).double(), Tables())
    x = scores(0, 2, 4, 3)
    tables = Tables()(x)
    for number in range(2):
        expected = law(field.unary(x)[number], pairs, list(tables[number]))
        marginals = field.marginals(x)[number]
        torch.testing.assert_close(marginals, expected.marginals(2).detach(), rtol=1e-9, atol=0)
        y = torch.tensor([[0, 1, -1, 1], [1, -1, 0, 0]])
        found = field.log_prob(x, y)[number]
        assert found.item() == pytest.approx(expected.log_prob(y[number]).item(), abs=1e-10)


def test_kinds_share_tables(law, scores):
    pairs, kinds = [(0, 1), (1, 2), (2, 0)], [1, 0, 1]
    field = ConditionalRandomField(GraphTemplate(3, pairs, kinds), 2, nn.Identity(), "table")
    field = field.double()
    field.pairwise.tables.data.copy_(scores(0, 2, 2, 2))
    x = scores(1, 1, 3, 2)
    expected = law(x[0], pairs, [field.pairwise.tables[kind] for kind in kinds])
    found = field.log_partition(x).item()
    assert found == pytest.approx(expected.log_partition.item(), abs=1e-10)


def test_a_batch_equals_a_loop(table_field, scores, labels):
    field, x, y = table_field(0, 2), scores(0, 5, 2, 4, 5), labels(0, 2, 5, 4, 5, missing=True)
    y[2] = 1
    for query in (field.log_partition, field.marginals, lambda x: field.most_probable(x)[0]):
        loop = torch.cat([query(one[None]) for one in x])
        torch.testing.assert_close(query(x), loop, rtol=1e-10, atol=1e-10)
    loop = torch.cat([field.log_prob(a[None], b[None]) for a, b in zip(x, y, strict=True)])
    torch.testing.assert_close(field.log_prob(x, y), loop, rtol=1e-10, atol=1e-10)


def test_the_factor_graph_is_the_same_law(table_field, scores):
    field = table_field(0, 2)
    for rows in (1, 3):
        x = scores(0, rows, 2, 2, 3)
        graph = field.to_factor_graph(x)
        found = graph.log_partition()
        torch.testing.assert_close(found.reshape(-1), field.log_partition(x), rtol=0, atol=1e-9)
        assert list(graph.cardinalities) == ["0,0", "0,1", "0,2", "1,0", "1,1", "1,2"]
        marginal = graph.marginals(variables=["1,2"])["1,2"].reshape(rows, 2).detach()
        torch.testing.assert_close(marginal, field.marginals(x)[:, :, 1, 2], rtol=0, atol=1e-9)


def test_energy_is_minus_the_log_weight(table_field, scores, labels):
    field, x, y = table_field(0, 2), scores(0, 2, 2, 3, 3), labels(0, 2, 2, 3, 3)
    found = -field.energy(x, y) - field.log_partition(x)
    torch.testing.assert_close(found, field.log_prob(x, y), rtol=0, atol=1e-10)
    assert field.score(x, y) == pytest.approx(field.log_prob(x, y).mean().item(), abs=1e-12)


def test_samples_follow_the_law(table_field, grid_law, scores):
    """Pearson's statistic of 20,000 exact draws of 16 labellings; false alarms: 1e-6."""
    from scipy.stats import chi2

    field, x, n = table_field(2, 2, strength=0.5), scores(2, 2, 2, 2, 2), 20_000
    draws = field.sample(x, n, generator=0)
    assert draws.shape == (n, 2, 2, 2)
    limit = chi2.isf(1e-6 / 2, 15)
    powers = torch.tensor([8, 4, 2, 1])
    statistics = []
    for number in range(2):
        probs = grid_law(x[number], field.pairwise.tables.detach()).probs
        counts = (draws[:, number].flatten(1) @ powers).bincount(minlength=16)
        statistics.append(((counts - n * probs).square() / (n * probs)).sum().item())
        # The other input's law is another one, and is found to be.
        other = grid_law(x[1 - number], field.pairwise.tables.detach()).probs
        assert ((counts - n * other).square() / (n * other)).sum() > limit
    assert max(statistics) < limit
    assert torch.equal(field.sample(x, 3, generator=1), field.sample(x, 3, generator=1))
    assert field.sample(x, 0, generator=1).shape == (0, 2, 2, 2)


def test_images_of_any_size_share_the_parameters(table_field, grid_law, scores):
    field = table_field(0, 2)
    for height, width in ((2, 2), (3, 2), (2, 4)):
        x = scores(0, 1, 2, height, width)
        expected = grid_law(x[0], field.pairwise.tables).log_partition.item()
        assert field.log_partition(x).item() == pytest.approx(expected, abs=1e-10)


def test_too_wide_a_grid_is_refused_with_its_width(table_field):
    field = table_field(0, 4)
    with pytest.raises(ValueError, match=r"graphs of 900 nodes .*width \d+.*belief-prop"):
        field.log_partition(torch.zeros(1, 4, 30, 30))
    with pytest.raises(ValueError, match="fewer graphs at a time"):
        field.most_probable(torch.zeros(1, 4, 30, 30))
