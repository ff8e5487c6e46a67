"""Log-probabilities, bounds, samples and labels against the table of all joint states."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2
from torch import Tensor

from inference.exact.enumerate import enumerate_states

SHAPES = [((4, 3), 0), ((4, 3, 2), 0), ((3, 2, 3, 2), 0), ((3, 2), 3), ((3, 3, 2), 2)]

#: How often a test of frequencies fails by chance.
FALSE_ALARM = 1e-7


def of_visible(values: Tensor, visible: Tensor) -> Tensor:
    """Log of the sums of exp(values) over all that shares its visible units, (2^n,)."""
    n = visible.shape[1]
    codes = (visible.long() * 2 ** torch.arange(n - 1, -1, -1)).sum(1)
    rows = [values[codes == code].logsumexp(0) for code in range(2**n)]
    return torch.stack(rows)


def rejected(draws: Tensor, probs: Tensor) -> bool:
    """Whether Pearson's test says that draws do not have these probabilities."""
    n = draws.shape[1]
    codes = (draws.long() * 2 ** torch.arange(n - 1, -1, -1)).sum(1)
    expected = len(draws) * probs
    assert float(expected.min()) > 5
    counts = codes.bincount(minlength=len(probs)).double()
    statistic = float(((counts - expected) ** 2 / expected).sum())
    return statistic > chi2.isf(FALSE_ALARM, len(probs) - 1)


@pytest.mark.parametrize(("sizes", "classes"), SHAPES)
def test_log_prob_is_the_sum_of_the_table(network, joint, sizes, classes):
    made = network(sizes, classes)
    table = joint(made)
    states = enumerate_states([2] * sizes[0]).double()
    expected = of_visible(table.log_prob, table.units[0])
    torch.testing.assert_close(made.log_prob(states), expected)
    assert float(made.log_prob(states).exp().sum()) == pytest.approx(1.0, abs=1e-12)


@settings(max_examples=20)
@given(
    sizes=st.lists(st.integers(1, 4), min_size=2, max_size=4),
    classes=st.sampled_from([0, 2, 3]),
    seed=st.integers(0, 999),
)
def test_probabilities_sum_to_one(network, sizes, classes, seed):
    made = network(sizes, classes, seed=seed, scale=2.0)
    log_prob = made.log_prob(enumerate_states([2] * sizes[0]))
    assert float(log_prob.exp().sum()) == pytest.approx(1.0, abs=1e-10)


@pytest.mark.parametrize(("sizes", "classes"), [SHAPES[1], SHAPES[2], SHAPES[4]])
def test_the_bound_is_the_mean_of_the_log_weights(network, joint, sizes, classes):
    """|z| < 7 for 2,000 guesses: false alarms below 1e-9; without log q it is rejected."""
    made, n_samples = network(sizes, classes, seed=1, scale=0.7), 2000
    table = joint(made)
    # The last layer and the label are summed out; log q does not depend on them.
    states = enumerate_states([2] * sizes[0]).double()
    hidden = torch.cat(table.units[:-1], 1)
    keys, place = hidden.unique(dim=0, return_inverse=True)
    summed = torch.stack([table.log_prob[place == k].logsumexp(0) for k in range(len(keys))])
    guess = torch.stack([table.log_guess[place == k][0] for k in range(len(keys))])
    weights, q = (summed - guess).view(len(states), -1), guess.exp().view(len(states), -1)
    mean = (q * weights).sum(1)
    spread = ((q * weights.square()).sum(1) - mean**2).clamp(min=0).sqrt()
    log_prob = made.log_prob(states)
    torch.testing.assert_close((q * weights.exp()).sum(1), log_prob.exp())
    assert bool((mean <= log_prob + 1e-12).all())

    found = made.log_prob_bound(states, n_samples=n_samples, generator=0)
    limit = 7 * spread / n_samples**0.5 + 1e-9
    assert bool(((found - mean).abs() < limit).all())
    without = (q * summed.view(len(states), -1)).sum(1)
    assert bool(((found - without).abs() > limit).any())


def test_importance_nears_the_log_probability(network):
    made = network((4, 3, 3), seed=2, scale=0.7)
    states = enumerate_states([2] * 4).double()
    log_prob, gaps = made.log_prob(states), []
    for n_samples in (1, 10, 100, 1000):
        found = [
            made.log_prob_bound(states, n_samples=n_samples, importance=True, generator=seed)
            for seed in range(40)
        ]
        gaps.append(float((log_prob - torch.stack(found)).mean()))
    assert gaps[0] > 2 * gaps[1] > 4 * gaps[2] > 0
    assert abs(gaps[3]) < 0.01


def test_a_known_log_z_is_taken(network):
    made, rows = network(), torch.eye(4)
    known = made.log_prob_bound(rows, log_partition=0.0, generator=0)
    exact = float(made.log_partition())
    torch.testing.assert_close(
        known - exact, made.log_prob_bound(rows, log_partition=made.log_partition(), generator=0)
    )
    assert made.score(rows, generator=0) == pytest.approx(float(known.mean()) - exact)
    estimate = made.log_partition("ais", betas=200, chains=200, generator=0)
    assert abs(float(estimate) - exact) < 7 * estimate.standard_error


def test_labels_do_not_change_the_annealed_log_z(network):
    made = network((4, 3, 3), 4, seed=3)
    exact = float(made.log_partition("exact"))
    estimate = made.log_partition("ais", betas=200, chains=300, generator=0)
    assert abs(float(estimate) - exact) < 7 * estimate.standard_error
    # The machine by itself takes the label's units for independent ones.
    assert abs(float(made.top.log_partition()) - exact) > 0.5


@pytest.mark.parametrize(("sizes", "classes"), [SHAPES[1], SHAPES[2], SHAPES[4]])
def test_samples_have_their_probabilities(network, sizes, classes):
    made = network(sizes, classes, scale=0.6)
    probs = made.log_prob(enumerate_states([2] * sizes[0])).exp()
    draws = made.sample(6000, sweeps=40, generator=0)
    assert not rejected(draws, probs)
    with torch.no_grad():
        made.layers[0].bias.add_(0.3)
    assert rejected(made.sample(6000, sweeps=40, generator=0), probs)


def test_samples_of_a_label_have_the_probabilities_given_it(network, joint):
    made = network((3, 3, 2), 3)
    with torch.no_grad():
        made.top.weights[3:].mul_(3)
    table = joint(made)
    labels = torch.arange(3).repeat_interleave(6000)
    draws = made.sample(len(labels), label=labels, sweeps=40, generator=0).split(6000)
    for label in range(3):
        some = table.labels == label
        logs = of_visible(table.log_prob[some], table.units[0][some])
        assert not rejected(draws[label], logs.softmax(0))
        assert rejected(draws[label - 1], logs.softmax(0))
    one = made.sample(6000, label=1, sweeps=40, generator=1)
    some = table.labels == 1
    logs = of_visible(table.log_prob[some], table.units[0][some])
    assert not rejected(one, logs.softmax(0))


def test_label_probabilities(network, joint):
    shallow = network((3, 2), 3)
    table = joint(shallow)
    states = enumerate_states([2] * 3).double()
    parts = [
        of_visible(table.log_prob[table.labels == k], table.units[0][table.labels == k])
        for k in range(3)
    ]
    expected = torch.stack(parts, 1).softmax(1)
    torch.testing.assert_close(shallow.predict_proba(states), expected)
    assert torch.equal(shallow.predict(states), expected.argmax(1))
    # The features are the means of the last layer with the label summed out.
    hidden = table.units[1]
    for row, state in enumerate(states):
        here = (table.units[0] == state).all(1)
        mean = table.log_prob[here].softmax(0) @ hidden[here]
        torch.testing.assert_close(shallow.transform(states)[row], mean)
    deep = network((3, 4, 2), 3)
    ahead = deep.layers[0].up(states)
    torch.testing.assert_close(
        deep.predict_proba(states), deep.memory().label_probabilities(ahead)
    )


def test_a_large_batch_equals_a_small_one(network, monkeypatch):
    made = network((5, 4, 3), 3)
    rows = enumerate_states([2] * 5).double()
    whole = [made.predict_proba(rows), made.transform(rows), made.log_prob(rows)]
    monkeypatch.setattr("energy.deep_belief.associative_memory.FIELDS", 20)
    monkeypatch.setattr("energy.deep_belief.exact.PAIRS", 50)
    parts = [made.predict_proba(rows), made.transform(rows), made.log_prob(rows)]
    torch.testing.assert_close(parts, whole)


@pytest.mark.parametrize("classes", [0, 2])
@pytest.mark.parametrize("importance", [False, True])
def test_slopes_of_the_bound_are_differences(network, classes, importance):
    """Log Z has a slope too; the guesses stay, as recognition does."""
    made, rows = network((3, 2, 2), classes), torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])

    def bound() -> torch.Tensor:
        found = made.log_prob_bound(rows, n_samples=9, importance=importance, generator=0)
        return found.sum()

    made.requires_grad_()
    bound().backward()
    for name, parameter in made.named_parameters():
        if "recognition" in name:
            continue
        flat, slopes = parameter.data.view(-1), parameter.grad.view(-1)
        for place, value in enumerate(flat.tolist()):
            ends = []
            for step in (1e-5, -1e-5):
                flat[place] = value + step
                ends.append(float(bound().detach()))
            flat[place] = value
            assert float(slopes[place]) == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-7)
