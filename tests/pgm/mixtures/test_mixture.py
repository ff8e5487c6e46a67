"""Mixtures of families: the contract of a model, families of one's own, scikit-learn, input."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import torch

from inference.convergence import ConvergenceWarning
from pgm.mixture import Mixture
from pgm.mixtures.families.bernoulli import Bernoulli
from pgm.mixtures.families.categorical import Categorical
from pgm.mixtures.families.family import Family
from pgm.mixtures.families.gaussian import Gaussian
from pgm.mixtures.families.poisson import Poisson
from pgm.mixtures.families.product import Product
from pgm.mixtures.families.student_t import StudentT

FAMILIES = [
    Bernoulli(3),
    Categorical((2, 3)),
    Poisson(2),
    Gaussian(2),
    StudentT(2, "diag", degrees=3.0),
    Product({(0, 2): Gaussian(2), 1: Product({0: Poisson(1)})}),
    Product({"kind": Categorical((3,)), ("size", "age"): StudentT(2)}),
]


@dataclass(frozen=True)
class Exponential(Family):
    """Waiting times: a family that the library does not have."""

    n_features: int
    name = "exponential"

    @property
    def width(self):
        return self.n_features

    def config(self):
        return {"n_features": self.n_features}

    def blank(self, n_components):
        return {"rates": torch.ones((n_components, self.n_features), dtype=torch.float64)}

    def n_parameters(self, n_components):
        return n_components * self.n_features

    def log_likelihood(self, numbers, prepared):
        present = (~prepared.isnan()).double()
        return numbers["rates"].log() @ present.T - numbers["rates"] @ prepared.nan_to_num().T

    def statistics(self, numbers, prepared, weights):
        return weights @ (~prepared.isnan()).double(), weights @ prepared.nan_to_num()

    def maximize(self, numbers, statistics, reference, prior):
        count, total = [sum(parts) for parts in zip(*statistics, strict=True)]
        return {"rates": torch.where(count > 0, count / total, numbers["rates"])}

    def sample(self, numbers, labels, generator):
        rates = numbers["rates"][labels]
        return torch.empty_like(rates).exponential_(generator=generator) / rates


class Sinking(Exponential):
    """A wrong M step."""

    def maximize(self, numbers, statistics, reference, prior):
        return {"rates": 2 * super().maximize(numbers, statistics, reference, prior)["rates"]}


def waits(n=400):
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.exponential(0.1, (n, 2)), rng.exponential(10.0, (n, 2))])
    x[rng.random(x.shape) < 0.1] = math.nan
    return x


def test_a_family_of_ones_own_is_learned_saved_and_loaded(tmp_path):
    x = waits()
    model = Mixture(2, Exponential(2)).fit(x, max_iter=500, generator=0)
    means = (1 / model.rates.detach()).sort(0).values
    torch.testing.assert_close(
        means, torch.tensor([[0.1], [10.0]]).expand(2, 2).double(), rtol=0.2, atol=0
    )
    model.save(tmp_path / "own.safetensors")
    with pytest.raises(ValueError, match=r"'exponential' is not one of.*pass yours as family"):
        Mixture.load(tmp_path / "own.safetensors")
    with pytest.raises(ValueError, match="family must be the one of the file"):
        Mixture.load(tmp_path / "own.safetensors", family=Exponential(3))
    copy = Mixture.load(tmp_path / "own.safetensors", family=Exponential(2))
    assert torch.equal(copy.log_prob(x), model.log_prob(x))
    assert model.sample(5, generator=0).shape == (5, 2)


def test_a_family_of_ones_own_has_no_prior_and_no_start_at_rows():
    with pytest.raises(ValueError, match="prior must be 0 for the family 'exponential'"):
        Mixture(2, Exponential(2)).fit(waits(), prior=1.0)
    with pytest.raises(ValueError, match="not known to the family 'exponential'; use 'kmeans'"):
        Mixture(2, Exponential(2)).fit(waits(), init="random_from_data")
    mixed = Product({(0, 1): Exponential(2), 2: Poisson(1)})
    assert not mixed.takes_prior


def test_a_wrong_m_step_is_found_out():
    with pytest.raises(RuntimeError, match="objective fell"):
        Mixture(2, Sinking(2)).fit(waits(), generator=0)


@pytest.mark.parametrize("family", FAMILIES, ids=repr)
def test_files_keep_everything(tmp_path, family):
    generator = torch.Generator().manual_seed(0)
    model = Mixture(3, family)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.startswith(("means", "rates", "degrees")):
                p += torch.rand(p.shape, generator=generator, dtype=torch.float64)
    model.save(tmp_path / "mixture.safetensors")
    copy = Mixture.load(tmp_path / "mixture.safetensors")
    assert copy.family == family and hash(copy.family) == hash(family)
    assert repr(copy) == repr(model)
    x = model.sample(20, generator=1)
    assert torch.equal(copy.log_prob(x), model.log_prob(x))
    assert torch.equal(copy.sample(20, generator=1), x)
    assert x.dtype == (
        torch.int64 if isinstance(family, (Bernoulli, Categorical)) else torch.float64
    )
    assert model.sample(0).shape == (0, family.width) and model.log_prob(x[:0]).shape == (0,)


def test_normal_steps_are_scikit_learns():
    from sklearn.exceptions import ConvergenceWarning as Unfinished
    from sklearn.mixture import GaussianMixture

    rng = np.random.default_rng(1)
    x = np.concatenate([rng.normal(m, s, (150, 3)) for m, s in ((0, 1), (2, 0.5), (-3, 2))])
    model = Mixture(3, Gaussian(3, covariance_floor=0.0))
    means, variances, weights = x[[0, 200, 400]], np.full((3, 3), 2.0), np.full(3, 1 / 3)
    with torch.no_grad():
        model.means.copy_(torch.from_numpy(means))
        model.covariances.copy_(torch.from_numpy(variances))
    model.fit(x, init="current", max_iter=25, tol=0)
    peer = GaussianMixture(
        3,
        covariance_type="diag",
        reg_covar=0,
        tol=0,
        max_iter=25,
        weights_init=weights,
        means_init=means,
        precisions_init=1 / variances,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Unfinished)
        peer.fit(x)
    np.testing.assert_allclose(model.means.detach(), peer.means_, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(model.covariances.detach(), peer.covariances_, rtol=1e-8)
    np.testing.assert_allclose(model.weights.detach(), peer.weights_, rtol=1e-9)
    np.testing.assert_allclose(model.score_samples(x), peer.score_samples(x), rtol=1e-9)
    np.testing.assert_allclose(model.predict_proba(x), peer.predict_proba(x), atol=1e-9)
    assert abs(model.bic(x) - peer.bic(x)) < 1e-7 and abs(model.aic(x) - peer.aic(x)) < 1e-7


def test_blocks_change_nothing(monkeypatch):
    from pgm.mixtures.families import learning

    x = np.random.default_rng(0).standard_t(3, (600, 2))
    x[:300] += 6
    x[::7, 1] = math.nan
    family = Product({0: Gaussian(1), 1: StudentT(1)})
    whole = Mixture(2, family).fit(x, max_iter=10, tol=0, generator=0)
    monkeypatch.setattr(learning, "block_width", lambda per_row: 37)
    monkeypatch.setattr(learning, "LEAST_BLOCK", 1)
    parts = Mixture(2, family).fit(x, max_iter=10, tol=0, generator=0)
    for a, b in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def test_history_and_convergence():
    x = np.random.default_rng(0).integers(0, 2, (60, 3))
    model = Mixture(2, Bernoulli(3)).fit(x, n_init=3, generator=0, tol=1e-3)
    ends = [s for s in model.history if s["start"] == 2]
    assert [s["iteration"] for s in ends] == list(range(1, len(ends) + 1))
    assert set(ends[0]) >= {"start", "iteration", "objective", "change"}
    assert model.converged_ and 0 < model.n_iter_ <= 200
    best = max(s["objective"] for s in model.history)
    assert model.log_prob(x).sum().item() > best - 1e-9 * abs(best)
    with pytest.warns(ConvergenceWarning):
        Mixture(2, Bernoulli(3)).fit(x, max_iter=2, tol=1e-12, generator=0)
    state = torch.get_rng_state()
    Mixture(2, Bernoulli(3)).fit(x, generator=1, tol=1e-2)
    assert torch.equal(torch.get_rng_state(), state)


def test_rows_come_in_many_forms():
    codes = [[0, 2, -1], [1, 0, 1], [0, 1, 0]]
    model = Mixture(2, Categorical((2, 3, 2))).fit(codes, generator=0)
    table = pd.DataFrame({"a": [0, 1, 0], "b": [2, 0, 1], "c": [None, 1, 0]})
    forms = [np.array(codes), torch.tensor(codes), torch.tensor(codes).float(), table]
    for form in forms:
        torch.testing.assert_close(model.log_prob(form), model.log_prob(codes))
    bits = Mixture(2, Bernoulli(2))
    assert torch.equal(bits.log_prob(np.array([[True, False]])), bits.log_prob([[1, 0]]))
    assert torch.equal(bits.log_prob([[1, -1]]), bits.log_prob([[1, math.nan]]))


def test_columns_of_several_kinds_by_name():
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 2, 200)
    table = pd.DataFrame(
        {"age": 3.0 * kind + rng.normal(size=200), "note": "x", "kind": kind * 1.0}
    )
    table.loc[3, "kind"] = math.nan
    family = Product({"kind": Bernoulli(1), "age": Gaussian(1)})
    model = Mixture(2, family).fit(table, generator=0)
    assert set(dict(model.named_parameters())) == {
        "weights",
        "probs_0",
        "means_1",
        "covariances_1",
    }
    order = table[["kind", "age"]]
    assert torch.equal(model.log_prob(table), model.log_prob(order.to_numpy()))
    hidden = table.assign(age=math.nan)
    marginal = model.log_prob(hidden).exp()[:3]
    p = (model.weights @ model.probs_0)[0]
    torch.testing.assert_close(marginal, torch.where(torch.tensor(kind[:3]) == 1, p, 1 - p))
    with pytest.raises(ValueError, match="X holds 7 in row 1, column 'kind'"):
        model.log_prob(table.assign(kind=[0, 7] + [1] * 198))
    with pytest.raises(ValueError, match="X has no column 'kind'"):
        model.log_prob(table[["age"]])


@pytest.mark.parametrize(
    ("family", "x", "message"),
    [
        (Bernoulli(2), [[0, 1], [0, 3]], "X holds 3 in row 1, column 1.*0, 1 or -1"),
        (Categorical((2, 3)), [[0, 2], [2, 1]], r"X holds 2 in row 1, column 0.*codes 0\.\.1"),
        (Categorical((2, 3)), [[0, 0.5]], "X holds 0.5 in row 0, column 1"),
        (Categorical((2, 3)), [[-2, 1]], "X holds -2 in row 0, column 0"),
        (Poisson(2), [[0, -1]], "X holds -1 in row 0, column 1; counts must be whole"),
        (Poisson(2), [[0, 1.5]], "X holds 1.5 in row 0, column 1"),
        (Gaussian(2), [[0, 1e200]], r"X holds 1e\+200 in row 0, column 1; numbers must be within"),
        (StudentT(1), [[math.inf]], "X must be finite"),
        (Gaussian(2), [[0.0, 1, 2]], "X must have 2 features, found 3"),
        (Gaussian(2), [1.0, 2.0], "X must be .rows, features."),
        (Product({1: Poisson(1), 0: Bernoulli(1)}), [[2, 1]], "X holds 2 in row 0, column 0"),
        (Product({1: Poisson(1), 0: Bernoulli(1)}), [[0, 0.1]], "X holds 0.1 in row 0, column 1"),
    ],
)
def test_refuses_rows_that_are_not_the_familys(family, x, message):
    model = Mixture(1, family)
    before = [p.clone() for p in model.parameters()]
    for use in (model.log_prob, model.fit):
        with pytest.raises(ValueError, match=message):
            use(x)
    for p, old in zip(model.parameters(), before, strict=True):
        assert torch.equal(p, old)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"prior": -1.0}, ValueError, "prior must be finite and not negative"),
        ({"weight_prior": math.nan}, ValueError, "weight_prior must be finite"),
        ({"n_init": 0}, ValueError, "n_init must be at least 1"),
        ({"max_iter": 1.5}, TypeError, "max_iter must be a whole number"),
        ({"tol": -1.0}, ValueError, "tolerance must be finite"),
        ({"init": "best"}, ValueError, "init must be one of kmeans"),
        ({"init": "current", "n_init": 2}, ValueError, "n_init must be 1"),
        ({"sample_weight": [1.0, -1, 1, 1]}, ValueError, "sample_weight.*-1 in row 1"),
        ({"sample_weight": [1.0]}, ValueError, "sample_weight must have shape"),
        ({"sample_weight": [0, 0, 0, 0]}, ValueError, "X has no row with an entry and a positive"),
        (
            {"sample_weight": [1, 0, 0, 0]},
            ValueError,
            "n_components must be at most.*2 comp.* 1 r",
        ),
        ({"generator": "seed"}, TypeError, "generator must be"),
    ],
)
def test_refuses_settings(options, error, message):
    with pytest.raises(error, match=message):
        Mixture(2, Bernoulli(2)).fit([[0, 1], [1, 1], [0, 0], [1, 0]], **options)


def test_refuses_what_nothing_can_be_learned_from(monkeypatch):
    with pytest.raises(ValueError, match="X has no row with an entry"):
        Mixture(1, Gaussian(2)).fit([[math.nan, math.nan]])
    with pytest.raises(ValueError, match="X has no entry in column 1"):
        Mixture(1, Gaussian(2)).fit([[1.0, math.nan], [2.0, math.nan]])
    with pytest.raises(ValueError, match="X has constant columns only"):
        Mixture(1, Gaussian(1)).fit([[1e-300], [2e-300]])
    with pytest.raises(ValueError, match="no entry in column 'b'"):
        Mixture(1, Poisson(2)).fit(pd.DataFrame({"a": [1.0, 2.0], "b": [math.nan, math.nan]}))
    with pytest.raises(ValueError, match="constant columns only"):
        Mixture(1, Gaussian(2)).fit([[1.0, 2.0], [1.0, 2.0]])
    with pytest.raises(
        ValueError, match="parameters there give some of the data probability zero"
    ):
        model = Mixture(1, Bernoulli(1))
        model.probs.data.zero_()
        model.fit([[1], [0]], init="current")

    monkeypatch.setattr("inference.memory.free_memory", lambda: 10)
    with pytest.raises(ValueError, match=r"X, .* would take 128 bytes.*10 bytes are free"):
        Mixture(1, Bernoulli(2)).fit([[0, 1], [1, 1], [0, 0], [1, 0]])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Mixture(0, Bernoulli(2)), ValueError, "n_components must be at least 1"),
        (lambda: Mixture(2, "bernoulli"), TypeError, "family must be a Family"),
        (lambda: Bernoulli(0), ValueError, "n_features must be at least 1"),
        (lambda: Categorical(3), TypeError, "cards must hold one number per column"),
        (lambda: Categorical(()), ValueError, "cards must name at least one column"),
        (lambda: Categorical((2, 0)), ValueError, r"cards\[1\] must be at least 1"),
        (lambda: Gaussian(2, 2.0), ValueError, "covariance_floor must be at least 0"),
        (
            lambda: Gaussian(2, "diag"),
            TypeError,
            "covariance_floor must be a number, found 'diag'",
        ),
        (lambda: Product({}), TypeError, "parts must map columns"),
        (lambda: Product({0: "poisson"}), TypeError, "must be a Family"),
        (lambda: Product({0: Poisson(2)}), ValueError, "names 1 columns for"),
        (lambda: Product({(0, 0): Poisson(2)}), ValueError, "name a column twice"),
        (
            lambda: Product({0: Poisson(1), 2: Poisson(1)}),
            ValueError,
            r"must name the columns 0\.\.1",
        ),
        (
            lambda: Product({0: Poisson(1), "a": Poisson(1)}),
            TypeError,
            "name all columns or number",
        ),
        (lambda: Product({1.5: Poisson(1)}), TypeError, "by numbers or names"),
        (lambda: Mixture(2, Bernoulli(2)).sample(-1), ValueError, "n must be at least 0"),
    ],
)
def test_refuses_wrong_models(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("family", "name", "value", "message"),
    [
        (Bernoulli(1), "probs", 1.5, r"probs must be within \[0, 1\]"),
        (Categorical((2,)), "probs", 0.7, "probs of column 0 must sum to one"),
        (Poisson(1), "rates", -1.0, "rates must be finite and not negative"),
        (Gaussian(1), "covariances", 0.0, "covariances must be positive"),
        (Bernoulli(1), "weights", 0.9, "weights must sum to one"),
    ],
)
def test_refuses_parameters_that_are_no_law(family, name, value, message):
    model = Mixture(2, family)
    getattr(model, name).data.fill_(value)
    with pytest.raises(ValueError, match=message):
        model.log_prob([[0.0]])
