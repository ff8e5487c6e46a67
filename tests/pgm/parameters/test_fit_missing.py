"""Tables from rows with gaps: closed forms, fixed points, hidden variables, starts."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch

from inference.exact.enumerate import enumerate_states
from pgm import BayesianNetwork
from pgm.classic import asia
from pgm.discrete_data import DiscreteData

NAN = math.nan
PRECISE = {"tolerance": 0.0, "max_iterations": 400}


def joint(net: BayesianNetwork) -> tuple[np.ndarray, np.ndarray]:
    """Every joint state and its probability, from the tables alone."""
    states = enumerate_states(net.vocabulary.cards).numpy()
    place = {name: i for i, name in enumerate(net.variables)}
    p = np.ones(len(states))
    for name in net.variables:
        scope = [place[v] for v in (*net.parents(name), name)]
        p *= net.table(name).numpy()[tuple(states[:, scope].T)]
    return states, p


def posterior(net: BayesianNetwork, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Law of every row's joint state, and its log-likelihood."""
    states, p = joint(net)
    weight = ((rows[:, None] < 0) | (rows[:, None] == states)).all(-1) * p
    total = weight.sum(1)
    return weight / total[:, None], np.log(total)


def expected(net: BayesianNetwork, rows: np.ndarray, added: float = 0.0) -> dict[str, np.ndarray]:
    """Every table after one more step of EM."""
    states, _ = joint(net)
    mass = posterior(net, rows)[0].sum(0)
    place = {name: i for i, name in enumerate(net.variables)}
    found = {}
    for name in net.variables:
        counts = np.full(tuple(net.table(name).shape), added)
        scope = [place[v] for v in (*net.parents(name), name)]
        np.add.at(counts, tuple(states[:, scope].T), mass)
        found[name] = counts / counts.sum(-1, keepdims=True)
    return found


def likelihood(net: BayesianNetwork, rows: np.ndarray) -> float:
    return float(posterior(net, rows)[1].sum())


def penalty(net: BayesianNetwork, added: float) -> float:
    return float(added * net.values.log().sum()) if added else 0.0


def objectives(net: BayesianNetwork) -> list[float]:
    return [record["objective"] for record in net.history]


def chain(tables: bool = False) -> BayesianNetwork:
    """a -> b -> d, a -> c -> d with 2, 3, 2 and 2 states."""
    edges = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]
    states = {"a": 2, "b": 3, "c": 2, "d": 2}
    given = {
        "a": [0.4, 0.6],
        "b": [[0.6, 0.3, 0.1], [0.1, 0.2, 0.7]],
        "c": [[0.8, 0.2], [0.3, 0.7]],
        "d": [[[0.9, 0.1], [0.6, 0.4]], [[0.5, 0.5], [0.3, 0.7]], [[0.2, 0.8], [0.1, 0.9]]],
    }
    return BayesianNetwork(edges, states, given if tables else None)


def gappy(net: BayesianNetwork, n: int, rate: float, seed: int) -> np.ndarray:
    """Rows of a network with cells missing completely at random."""
    rows = net.sample(n, generator=seed).numpy()
    return np.where(np.random.default_rng(seed).random(rows.shape) < rate, -1, rows)


# Fixed points ------------------------------------------------------------------------------------


@pytest.mark.parametrize("added", [0.0, 0.5])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_em_climbs_to_a_fixed_point(seed, added):
    rows = gappy(chain(True), 120, 0.3, seed)
    net = chain().fit(rows, prior=added, **PRECISE)
    climbed = objectives(net)
    assert (np.diff(climbed) >= -1e-10 * abs(climbed[0])).all()
    value = likelihood(net, rows) + penalty(net, added)
    assert climbed[-1] == pytest.approx(value, rel=1e-11)
    for name, table in expected(net, rows, added).items():
        np.testing.assert_allclose(net.table(name).numpy(), table, atol=1e-8)


def test_the_gradient_vanishes_at_the_end():
    """Central differences of the enumerated likelihood along every row of every table."""
    rows = gappy(chain(True), 120, 0.3, 0)
    net = chain().fit(rows, **PRECISE)
    best = net.values.clone()

    def slope(name: str, row: int) -> float:
        moved = []
        for step in (1e-4, -1e-4):
            net.values.copy_(best)
            table = net.table(name).view(-1, net.table(name).shape[-1])[row]
            table[0] *= math.exp(step)
            table /= table.sum()
            moved.append(likelihood(net, rows))
        return (moved[0] - moved[1]) / 2e-4

    for name in net.variables:
        for row in range(net.table(name).numel() // net.table(name).shape[-1]):
            assert abs(slope(name, row)) < 1e-5
    net.values.copy_(chain(True).values)
    best = net.values.clone()
    assert abs(slope("a", 0)) > 1.0, "at other tables it does not"


@pytest.mark.parametrize("added", [0.0, 0.5])
def test_one_step_from_the_current_tables(added):
    rows = gappy(chain(True), 50, 0.4, 3)
    net, before = chain(True), chain(True)
    net.fit(rows, prior=added, init="current", max_iterations=1)
    value = likelihood(before, rows) + penalty(before, added)
    assert objectives(net) == [pytest.approx(value, rel=1e-12)]
    for name, table in expected(before, rows, added).items():
        np.testing.assert_allclose(net.table(name).numpy(), table, rtol=1e-12)


def test_modes_and_means_differ_by_one_pseudo_count():
    rows = gappy(chain(True), 50, 0.4, 3)
    mode = chain().fit(rows, prior=1.5, estimate="map", max_iterations=7, tolerance=0.0)
    mean = chain().fit(rows, prior=0.5, estimate="mean", max_iterations=7, tolerance=0.0)
    assert mode.values.equal(mean.values) and objectives(mode) == objectives(mean)


@pytest.mark.parametrize("prior", [0.0, 1.0])
def test_the_gradient_method_reaches_the_same_maximum(prior):
    rows = gappy(chain(True), 120, 0.3, 1)
    em = chain().fit(rows, prior=prior, **PRECISE)
    gradient = chain().fit(
        rows, prior=prior, method="gradient", tolerance=1e-13, max_iterations=500
    )
    best = objectives(em)[-1]
    assert objectives(gradient)[-1] == pytest.approx(best, rel=1e-6)
    value = likelihood(gradient, rows) + penalty(gradient, prior)
    assert value == pytest.approx(best, rel=1e-6)


# Closed forms ------------------------------------------------------------------------------------


def pair() -> BayesianNetwork:
    return BayesianNetwork([("x", "y")], {"x": 2, "y": 2})


FULL = [[0, 0]] * 6 + [[0, 1]] * 2 + [[1, 0]] * 3 + [[1, 1]] * 9


def test_a_leaf_with_gaps():
    """p(x) comes from all rows, p(y | x) from the complete ones."""
    net = pair().fit(FULL + [[0, -1]] * 10 + [[1, -1]] * 2, **PRECISE)
    assert net.table("x").tolist() == pytest.approx([18 / 32, 14 / 32], abs=1e-10)
    expected = torch.tensor([[6 / 8, 2 / 8], [3 / 12, 9 / 12]], dtype=torch.float64)
    torch.testing.assert_close(net.table("y"), expected, atol=1e-10, rtol=0)


def test_a_root_with_gaps():
    """p(y) comes from all rows, p(x | y) from the complete ones: Bayes gives the tables."""
    net = pair().fit(FULL + [[-1, 0]] * 11 + [[-1, 1]] * 3, **PRECISE)
    p_y = np.array([20 / 34, 14 / 34])
    p_x = np.array([[6 / 9, 3 / 9], [2 / 11, 9 / 11]])
    both = (p_y[:, None] * p_x).T
    np.testing.assert_allclose(net.table("x").numpy(), both.sum(1), atol=1e-10)
    np.testing.assert_allclose(net.table("y").numpy(), both / both.sum(1)[:, None], atol=1e-10)
    # What the rows show of each family alone is a different answer, as are gaps read as zeros.
    assert abs(net.table("x")[0].item() - 8 / 20) > 0.05
    assert abs(net.table("x")[0].item() - 22 / 34) > 0.05


def test_a_monotone_pattern():
    """x always seen, y in some rows, z only where y is: each family from its own rows."""
    net = BayesianNetwork([("x", "y"), ("y", "z")], {"x": 2, "y": 3, "z": 2})
    rows = np.random.default_rng(0).integers([2, 3, 2], size=(90, 3))
    rows[60:, 2] = -1
    rows[75:, 1] = -1
    net.fit(rows, **PRECISE)
    for name, shown, scope in (("x", 90, [0]), ("y", 75, [0, 1]), ("z", 60, [1, 2])):
        counts = np.zeros(tuple(net.table(name).shape))
        np.add.at(counts, tuple(rows[:shown, scope].T), 1.0)
        np.testing.assert_allclose(
            net.table(name).numpy(), counts / counts.sum(-1, keepdims=True), atol=1e-10
        )


def test_independent_variables():
    net = BayesianNetwork([], {"a": 2, "b": 3})
    rows = np.array([[0, 2], [-1, 2], [1, -1], [1, 0], [1, -1], [-1, -1]])
    net.fit(rows, **PRECISE)
    assert net.table("a").tolist() == pytest.approx([1 / 4, 3 / 4], abs=1e-10)
    assert net.table("b").tolist() == pytest.approx([1 / 3, 0.0, 2 / 3], abs=1e-10)


def test_rows_that_show_nothing_change_nothing():
    rows = gappy(chain(True), 60, 0.2, 5)
    blank = np.concatenate([rows, np.full((20, 4), -1)])
    one, other = chain().fit(rows, **PRECISE), chain().fit(blank, **PRECISE)
    torch.testing.assert_close(one.values, other.values, atol=1e-8, rtol=0)
    assert objectives(one)[-1] == pytest.approx(objectives(other)[-1], rel=1e-11)
    nothing = chain().fit(np.full((3, 4), -1), generator=0)
    assert objectives(nothing)[-1] == pytest.approx(0.0, abs=1e-12)
    assert nothing.values.isfinite().all()


def test_more_of_the_rows_is_used_than_the_complete_ones():
    """Asia with a fifth of its cells missing, three draws: the truth is nearer in both senses."""
    truth = asia()
    _, p = joint(truth)
    for seed in range(3):
        rows = gappy(truth, 1500, 0.2, seed)
        complete = rows[(rows >= 0).all(1)]
        divergence, distance = [], []
        for data in (rows, complete):
            net = asia().fit(data, prior=0.5)
            _, q = joint(net)
            divergence.append(float(p[p > 0] @ np.log(p[p > 0] / q[p > 0])))
            distance.append((net.values - truth.values).abs().sum().item())
        assert divergence[0] < divergence[1] and distance[0] < distance[1]


# Hidden variables --------------------------------------------------------------------------------


def mixture() -> BayesianNetwork:
    """A class of two states behind five features."""
    names = [f"x{i}" for i in range(5)]
    tables = {name: [[0.9, 0.1], [0.2, 0.8]] for name in names}
    states = {"class": 2, **dict.fromkeys(names, 2)}
    return BayesianNetwork(
        [("class", name) for name in names], states, {"class": [0.35, 0.65], **tables}
    )


@pytest.fixture(scope="module")
def hidden() -> np.ndarray:
    rows = mixture().sample(600, generator=0).numpy()
    rows[:, 0] = -1
    return rows


def test_a_hidden_class_is_found(hidden):
    net = mixture().fit(hidden, n_init=4, max_iterations=300, generator=0)
    assert {record["start"] for record in net.history} == {0, 1, 2, 3}
    assert likelihood(net, hidden) >= likelihood(mixture(), hidden)
    alone = BayesianNetwork([], {f"x{i}": 2 for i in range(5)}).fit(hidden[:, 1:])
    assert likelihood(net, hidden) > alone.history[-1]["log_likelihood"] + 100
    best = max(objectives(net))
    assert likelihood(net, hidden) >= best - 1e-9 * abs(best), "the best end is kept"


def test_hidden_starts_are_random_and_repeatable(hidden):
    once = mixture().fit(hidden, max_iterations=2, tolerance=0.0, generator=3)
    before = torch.get_rng_state()
    again = mixture().fit(
        hidden, max_iterations=2, tolerance=0.0, generator=torch.Generator().manual_seed(3)
    )
    assert again.values.equal(once.values) and torch.get_rng_state().equal(before)
    assert (
        not mixture()
        .fit(hidden, max_iterations=2, tolerance=0.0, generator=4)
        .values.equal(once.values)
    )
    free = [mixture().fit(hidden, max_iterations=2, tolerance=0.0).values for _ in range(2)]
    assert not free[0].equal(free[1])


def test_equal_rows_are_a_saddle(hidden):
    """What the random start is for: from equal rows EM never leaves the independent model."""
    net = mixture()
    net.values.fill_(0.5)
    net.fit(hidden, init="current")
    assert net.table("x0")[0].allclose(net.table("x0")[1])
    assert likelihood(net, hidden) < likelihood(mixture(), hidden) - 100


def test_a_variable_never_seen_beside_its_children_leaves_the_saddle(hidden):
    """The class is known of ten rows that show nothing else."""
    rows = np.concatenate([hidden, np.array([[0, *[-1] * 5]] * 5 + [[1, *[-1] * 5]] * 5)])
    net = mixture().fit(rows, generator=0, max_iterations=300)
    assert likelihood(net, rows) > likelihood(mixture(), rows) - 5


@pytest.mark.parametrize("method", ["em", "gradient"])
def test_every_method_finds_a_hidden_class(hidden, method):
    net = mixture().fit(hidden, method=method, generator=0, max_iterations=300, tolerance=1e-9)
    assert likelihood(net, hidden) >= likelihood(mixture(), hidden)


def test_many_features_of_a_hidden_class():
    """Ten classes over as many binary features as an image has pixels."""
    names = [f"x{i}" for i in range(784)]
    net = BayesianNetwork([("class", x) for x in names], {"class": 10, **dict.fromkeys(names, 2)})
    rows = np.random.default_rng(0).integers(2, size=(12, 785))
    rows[:, 0] = -1
    net.fit(rows, prior=1.0, generator=0, max_iterations=3, tolerance=0.0)
    assert (np.diff(objectives(net)) > 0).all()


# Starts ------------------------------------------------------------------------------------------


def test_current_tables_keep_their_zeros():
    rows = gappy(asia(), 200, 0.2, 0)
    net = asia().fit(rows, init="current")
    assert (net.values[asia().values == 0] == 0).all()
    assert objectives(net)[0] == pytest.approx(likelihood(asia(), rows), rel=1e-12)


def test_impossible_rows_under_the_current_tables_are_an_error():
    rows = gappy(asia(), 50, 0.2, 0)
    rows[7] = [0, 0, 0, 0, 0, 1, 0, 0]
    net, before = asia(), asia().values
    with pytest.raises(ValueError, match="probability zero"):
        net.fit(rows, init="current")
    assert net.values.equal(before) and net.history == []
    net.fit(rows)
    assert objectives(net)[-1] > -math.inf
    with pytest.raises(ValueError, match="zeros"):
        asia().fit(rows, init="current", method="gradient")


def test_random_starts_differ_from_available_ones():
    rows = gappy(chain(True), 50, 0.3, 0)
    first = {init: chain().fit(rows, init=init, generator=0) for init in ("available", "random")}
    assert objectives(first["random"])[0] < objectives(first["available"])[0]
    other = chain().fit(rows, init="random", generator=1)
    assert objectives(other)[0] != objectives(first["random"])[0]
    several = chain().fit(rows, init="random", n_init=3, generator=0)
    assert several.history[0]["objective"] == objectives(first["random"])[0]
    starts = [r["objective"] for r in several.history if r["iteration"] == 1]
    assert len(set(starts)) == 3


def test_iterations_and_tolerance():
    rows = gappy(chain(True), 50, 0.3, 0)
    assert len(chain().fit(rows, max_iterations=3, tolerance=0.0).history) == 3
    loose = chain().fit(rows, tolerance=1e-2).history
    tight = chain().fit(rows, tolerance=1e-8).history
    assert len(loose) < len(tight)
    for history, tolerance in ((loose, 1e-2), (tight, 1e-8)):
        changes = [abs(r["change"]) / len(rows) for r in history[1:]]
        assert changes[-1] < tolerance <= min(changes[:-1])


@pytest.mark.parametrize("method", ["em", "gradient"])
def test_parents_never_seen_give_uniform_rows(method):
    rows = [[0, 0], [0, 1], [0, 1], [0, -1]]
    net = pair().fit(rows, method=method, init="random", generator=0, max_iterations=300)
    assert net.history[-1]["unseen_rows"] == 1
    assert net.table("y")[1].tolist() == [0.5, 0.5]


def test_unseen_rows_are_those_of_the_start_that_is_kept():
    """The first start never reaches x = 1 and fits y at once; the second is a mixture."""
    net = pair()
    net.values.copy_(torch.tensor([1.0, 0.0, 0.25, 0.75, 0.5, 0.5]))
    rows = [[-1, 0], [-1, 1], [-1, 1], [-1, 1]]
    net.fit(rows, init="current", n_init=2, max_iterations=1, generator=0)
    assert net.table("x").tolist() == [1.0, 0.0], "the first start is the better one"
    assert net.table("y")[1].tolist() == [0.5, 0.5]
    assert net.history[-1]["unseen_rows"] == 1


# Kinds of data -----------------------------------------------------------------------------------

GAPS = {
    "-1": lambda rows: rows,
    "NaN": lambda rows: np.where(rows < 0, NAN, rows),
    "NaN in a tensor": lambda rows: torch.from_numpy(np.where(rows < 0, NAN, rows)),
    "int8": lambda rows: torch.from_numpy(rows).to(torch.int8),
    "None": lambda rows: np.where(rows < 0, None, rows),
    "NA": lambda rows: pd.DataFrame(rows, columns=list("abcd"), dtype="Int64").mask(rows < 0),
    "frame of NaN": lambda rows: pd.DataFrame(rows, columns=list("abcd")).mask(rows < 0),
    "mapping": lambda rows: dict(zip("abcd", rows.T, strict=True)),
    "read before": lambda rows: DiscreteData(rows, chain().vocabulary),
}


@pytest.mark.parametrize("kind", GAPS)
def test_every_spelling_of_a_gap_gives_the_same_tables(kind):
    rows = gappy(chain(True), 40, 0.3, 2)
    plain = chain().fit(rows, max_iterations=5, tolerance=0.0)
    assert (
        chain().fit(GAPS[kind](rows), max_iterations=5, tolerance=0.0).values.equal(plain.values)
    )


def test_weights_count_as_repeated_rows():
    rows = gappy(chain(True), 30, 0.3, 2)
    weights = np.random.default_rng(0).integers(0, 4, size=30)
    repeated = chain().fit(np.repeat(rows, weights, axis=0), max_iterations=9, tolerance=0.0)
    weighted = chain().fit(rows, sample_weight=weights, max_iterations=9, tolerance=0.0)
    torch.testing.assert_close(weighted.values, repeated.values, rtol=1e-11, atol=1e-13)
    assert objectives(weighted) == pytest.approx(objectives(repeated), rel=1e-12)
    order = np.random.default_rng(1).permutation(30)
    shuffled = chain().fit(
        rows[order], sample_weight=weights[order], max_iterations=9, tolerance=0.0
    )
    torch.testing.assert_close(shuffled.values, weighted.values, rtol=1e-11, atol=1e-13)


# Refusals ----------------------------------------------------------------------------------------

BAD = {
    "counts": ({"method": "counts"}, ValueError, "'a' has .* missing"),
    "unknown method": ({"method": "vi"}, ValueError, "method"),
    "unknown init": ({"init": "zeros"}, ValueError, "init"),
    "unknown estimate": ({"estimate": "mode"}, ValueError, "estimate"),
    "n_init 0": ({"n_init": 0}, ValueError, "n_init"),
    "n_init and gradient": ({"n_init": 2, "method": "gradient"}, ValueError, "n_init"),
    "progress": ({"progress": 1}, TypeError, "progress"),
    "generator": ({"generator": 0.5}, TypeError, "generator"),
    "weights": ({"sample_weight": np.zeros(20)}, ValueError, "sample_weight"),
    **{
        f"{name} {value}, {method}": ({name: value, "method": method}, ValueError, name)
        for name, value in [
            ("max_iterations", 0), ("tolerance", -1e-3), ("tolerance", NAN)
        ]
        for method in ("em", "gradient")
    },
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_is_refused_leaves_the_tables_alone(case):
    options, error, named = BAD[case]
    net, rows = chain(True), gappy(chain(True), 20, 0.5, 0)
    with pytest.raises(error, match=named):
        net.fit(rows, **options)
    assert net.values.equal(chain(True).values) and net.history == []
