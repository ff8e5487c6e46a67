"""Student's t law: integrals, other programs' estimates, degrees of freedom, outliers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import integrate, optimize, stats

from pgm.mixture import Mixture
from pgm.mixtures.families.degrees import LEAST, MOST, Distances, improve_degrees
from pgm.mixtures.families.gaussian import Gaussian
from pgm.mixtures.families.student_t import StudentT


@pytest.mark.parametrize("scale", ["full", "diag"])
def test_a_missing_entry_is_integrated_out(draw_mixture, scale):
    model = draw_mixture(3, StudentT(2, scale), 2)

    def density(y):
        return model.log_prob([[0.3, y]]).exp().item()

    total, error = integrate.quad(density, -math.inf, math.inf, epsabs=1e-10)
    found = model.log_prob([[0.3, math.nan]]).exp().item()
    assert abs(found - total) < 1e-8 + error


def test_one_component_agrees_with_scipys_fit():
    x = stats.t(3.5, loc=2.0, scale=1.5).rvs(400, random_state=0)
    model = Mixture(1, StudentT(1)).fit(x[:, None], max_iter=2000, tol=1e-13)
    degrees, place, scale = stats.t.fit(x)
    torch.testing.assert_close(model.degrees[0].item(), float(degrees), rtol=1e-3, atol=0)
    torch.testing.assert_close(model.means[0, 0].item(), float(place), rtol=1e-3, atol=0)
    torch.testing.assert_close(
        model.scales[0, 0, 0].item() ** 0.5, float(scale), rtol=1e-3, atol=0
    )
    best = stats.t.logpdf(x, degrees, place, scale).sum()
    assert model.log_prob(x[:, None]).sum().item() > best - 1e-6


def test_several_columns_agree_with_a_general_optimizer(some_rows):
    x = some_rows(1, StudentT(2), 80, 0.15)
    x = x[~np.isnan(x).all(1)]
    model = Mixture(1, StudentT(2)).fit(x, max_iter=3000, tol=1e-13)
    copy = Mixture(1, StudentT(2))

    def loss(v):
        root = np.array([[math.exp(v[2]), 0.0], [v[3], math.exp(v[4])]])
        with torch.no_grad():
            copy.means[0] = torch.from_numpy(v[:2])
            copy.scales[0] = torch.from_numpy(root @ root.T)
            copy.degrees[0] = math.exp(v[5])
        return -copy.log_prob(x).sum().item()

    found = optimize.minimize(loss, np.zeros(6), method="BFGS", options={"gtol": 1e-6})
    assert abs(found.fun + model.log_prob(x).sum().item()) < 1e-6
    assert abs(math.exp(found.x[5]) - model.degrees.item()) < 1e-2


def test_many_degrees_are_the_normal_law(some_rows):
    x = some_rows(0, Gaussian(3), 20)
    normal, student = Mixture(2, Gaussian(3)), Mixture(2, StudentT(3, "diag", degrees=1e9))
    with torch.no_grad():
        for means in (normal.means, student.means):
            means.copy_(torch.tensor([[0.0, 1, 2], [3, 1, 0]]))
        for scales in (normal.covariances, student.scales):
            scales.copy_(torch.tensor([[1.0, 2, 3], [1, 1, 2]]))
    torch.testing.assert_close(student.log_prob(x), normal.log_prob(x), rtol=1e-6, atol=1e-6)


def test_updates_of_the_degrees_end_at_the_maximum():
    rng = np.random.default_rng(0)
    delta = torch.from_numpy(stats.t(2.5).rvs((2, 500), random_state=rng) ** 2)
    weights = torch.from_numpy(rng.random((2, 500)))
    few = torch.from_numpy(stats.f(2, 6).rvs((2, 300), random_state=rng) * 2)
    rows = [
        Distances(1, weights[:, :200], delta[:, :200]),
        Distances(2, torch.ones_like(few), few),
        Distances(1, weights[:, 200:], delta[:, 200:]),
    ]

    def value(nu, k):
        total = 0.0
        for p, r, d in rows:
            logs = stats.f.logpdf(d[k].numpy() / p, p, nu)  # delta / p has an F law
            total += (r[k].numpy() * logs).sum()
        return total

    found = torch.tensor([8.0, 0.2], dtype=torch.float64)
    for _ in range(6):
        found, last = improve_degrees(rows, found), found
        assert all([value(found[k].item(), k) >= value(last[k].item(), k) - 1e-10 for k in (0, 1)])
    for k in (0, 1):
        best = optimize.minimize_scalar(
            lambda nu, k=k: -value(nu, k),
            bounds=(0.3, 100),
            method="bounded",
            options={"xatol": 1e-9},
        )
        assert abs(found[k].item() - best.x) < 1e-5


def test_degrees_stay_within_bounds_and_without_rows_where_they_are():
    rows = [Distances(1, torch.tensor([[1.0], [1.0], [0.0]]).double(), torch.ones(3, 1).double())]
    rows[0].delta[1] = 1e12
    found = torch.tensor([8.0, 8.0, 5.0], dtype=torch.float64)
    for _ in range(30):
        found = improve_degrees(rows, found)
    assert (found >= LEAST).all() and (found <= MOST).all()
    assert found[0] > 100 and found[1] < 0.2 and found[2] == 5.0


def test_outliers_move_the_normal_law_only():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, 1, (200, 2)), rng.normal(8, 1, (200, 2)), [[500.0, -500.0]]])
    student = Mixture(2, StudentT(2)).fit(x, generator=0)
    centres = student.means.sort(0).values
    torch.testing.assert_close(
        centres, torch.tensor([[0.0, 0], [8, 8]]).double(), atol=0.3, rtol=0
    )
    normal = Mixture(2, Gaussian(2)).fit(x, generator=0)
    assert (normal.means.sort(0).values - centres).abs().max() > 1


def test_fixed_degrees_stay(some_rows):
    x = some_rows(3, StudentT(2), 60)
    model = Mixture(2, StudentT(2, degrees=3.0)).fit(x, generator=0)
    assert model.degrees.tolist() == [3.0, 3.0]
    assert Mixture(2, StudentT(2)).n_parameters == model.n_parameters + 2


def test_equal_rows_meet_the_floor_of_the_scale():
    x = np.concatenate([np.zeros((30, 2)), np.random.default_rng(0).normal(5, 1, (30, 2))])
    model = Mixture(2, StudentT(2)).fit(x, generator=0, tol=0, max_iter=50)
    assert torch.linalg.eigvalsh(model.scales).min() > 0
    with pytest.raises(
        ValueError, match=r"component .: the scale matrix has become singular; pass a larg"
    ):
        Mixture(2, StudentT(2, covariance_floor=0.0)).fit(x, generator=0)
    with pytest.raises(
        ValueError, match=r"component . has collapsed onto equal vectors.*covariance_floor > 0"
    ):
        Mixture(2, Gaussian(2, covariance_floor=0.0)).fit(x, generator=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_features": 0}, "n_features must be at least 1"),
        ({"n_features": 2, "scale": "tied"}, "scale must be one of full, diag"),
        ({"n_features": 2, "degrees": 0.0}, "degrees must be positive"),
        ({"n_features": 2, "covariance_floor": -1.0}, "covariance_floor must be at least 0"),
    ],
)
def test_refuses_wrong_settings(arguments, message):
    with pytest.raises(ValueError, match=message):
        StudentT(**arguments)


def test_refuses_wrong_parameters():
    model = Mixture(1, StudentT(2))
    with torch.no_grad():
        model.scales[0, 0, 0] = -1.0
    with pytest.raises(ValueError, match="scales must be positive definite"):
        model.log_prob([[0.0, 0.0]])
    with torch.no_grad():
        model.scales[0, 0, 0], model.degrees[0] = 1.0, -1.0
    with pytest.raises(ValueError, match="degrees must be positive"):
        model.log_prob([[0.0, 0.0]])
