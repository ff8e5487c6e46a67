"""The public face of the variational autoencoder: shapes, files, learning, errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Poisson

from generative.networks import mlp
from generative.vae.flow_prior import FlowPrior
from generative.vae.likelihood import GaussianLikelihood
from generative.vae.mixture_prior import MixturePrior, VampPrior
from generative.variational_autoencoder import VariationalAutoencoder
from inference.learning.callbacks import EarlyStopping
from inference.learning.optimization import Optimization
from inference.random import bernoulli


def make(width: int = 6, d: int = 2, told: int = 0, out: int = 0, **options: Any) -> Any:
    """A small autoencoder of rows of ``width`` numbers."""
    shape = options.pop("shape", None)
    encoder = mlp([width + told, 8, 2 * d], "tanh", generator=0)
    decoder = mlp([d + told, 8, out or width], "tanh", shape=shape, generator=1)
    return VariationalAutoencoder(encoder, decoder, d, **options)


def bits(n: int = 40, *event: int) -> Tensor:
    source = torch.Generator().manual_seed(2)
    return torch.randint(2, (n, *(event or (6,))), generator=source).float()


CASES: dict[str, tuple[dict[str, Any], Tensor]] = {
    "bernoulli": ({}, bits(5)),
    "images": ({"shape": (1, 2, 3)}, bits(5, 1, 2, 3)),
    "gaussian": ({"likelihood": "gaussian", "out": 12}, bits(5) + 0.3),
    "maps": ({"likelihood": "gaussian", "out": 12, "shape": (2, 2, 3)}, bits(5, 1, 2, 3)),
    "shared scale": ({"likelihood": GaussianLikelihood("shared")}, bits(5) + 0.3),
    "categorical": (
        {"likelihood": "categorical", "out": 18, "shape": (6, 3)},
        torch.arange(30.0).view(5, 6) % 3,
    ),
    "poisson": ({"likelihood": lambda out: Poisson(out.exp())}, bits(5) * 3),
    "mixture": ({"prior": MixturePrior(3, 2, generator=0)}, bits(5)),
    "vamp": ({"prior": VampPrior(bits(4))}, bits(5)),
    "flow": ({"prior": FlowPrior(2, generator=0)}, bits(5)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_shapes_and_seeds(name: str) -> None:
    options, x = CASES[name]
    model = make(**options)
    event = x.shape[1:]
    assert isinstance(model.posterior(x), Distribution)
    assert model.posterior(x).mean.shape == model.transform(x).shape == (5, 2)
    prior = model.prior_distribution()
    assert prior.sample((3,)).shape == (3, 2)
    z = torch.zeros(4, 2)
    torch.testing.assert_close(prior.log_prob(z), model._coder.log_prior(z))
    assert isinstance(model.likelihood(torch.zeros(3, 2)), Distribution)
    assert model.likelihood(torch.zeros(3, 2)).log_prob(x[:3].to(model.device)).shape == (3,)
    state = torch.random.get_rng_state()
    for found in (model.elbo(x, generator=0), model.log_prob(x, 7, generator=0)):
        assert found.shape == (5,) and found.isfinite().all()
    assert torch.equal(model.elbo(x, 3, generator=1), model.elbo(x, 3, generator=1))
    terms = model.elbo_terms(x, 3, generator=1)
    assert torch.equal(terms.reconstruction - terms.kl, model.elbo(x, 3, generator=1))
    assert model.score(x, 7, generator=0) == pytest.approx(
        model.log_prob(x, 7, generator=0).mean().item()
    )
    for mean in (True, False):
        assert model.reconstruct(x, mean, generator=0).shape == x.shape
        draws = model.sample(4, mean, generator=0)
        assert draws.shape == (4, *event)
        assert torch.equal(draws, model.sample(4, mean, generator=0))
    assert torch.equal(state, torch.random.get_rng_state())
    path = model.interpolate(x[:2], x[2:4], 5)
    assert path.shape == (2, 5, *event)
    ends = model.reconstruct(x[:4])
    torch.testing.assert_close(path[:, 0], ends[:2])
    torch.testing.assert_close(path[:, -1], ends[2:])
    assert model.active_units(x).shape == (2,)


@pytest.mark.parametrize("name", CASES)
def test_learning_reaches_every_parameter_and_files_hold_them(name: str, tmp_path: Path) -> None:
    options, x = CASES[name]
    model = make(**options)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    result = model.fit(x, epochs=2, batch_size=5, lr=0.01, generator=0, progress=False)
    assert result is model and len(model.history) == 2 and not model.training
    assert {"epoch", "loss", "elbo", "reconstruction", "kl"} <= model.history[-1].keys()
    changed = [not torch.equal(value, before[key]) for key, value in model.state_dict().items()]
    assert all(changed)
    path = tmp_path / "model.safetensors"
    model.save(path)
    fresh = make(**options)
    own = {key: getattr(fresh, part) for key, part in (("likelihood", "law"), ("prior", "prior"))
           if key in options and not isinstance(options[key], str)}  # fmt: skip
    loaded = VariationalAutoencoder.load(path, fresh.encoder, fresh.decoder, **own)
    assert not loaded.training
    assert torch.equal(loaded.elbo(x, generator=0), model.elbo(x, generator=0))


def test_history_is_the_true_bound_whatever_beta() -> None:
    x = bits()
    plain, weighted = make(), make(beta=4.0)
    histories = [
        model.fit(x, epochs=1, batch_size=40, lr=0.0, generator=0, progress=False).history[0]
        for model in (plain, weighted)
    ]
    assert histories[0]["elbo"] == histories[1]["elbo"]
    assert histories[1]["loss"] == pytest.approx(
        4 * histories[1]["kl"] - histories[1]["reconstruction"], rel=1e-5
    )
    assert torch.equal(plain.elbo(x, generator=0), weighted.elbo(x, generator=0))


def test_beta_warms_up() -> None:
    history = make().fit(
        bits(), epochs=3, batch_size=40, lr=0.0, beta_warm_up=2, generator=0, progress=False
    ).history  # fmt: skip
    shares = [(row["loss"] + row["reconstruction"]) / row["kl"] for row in history]
    assert shares == pytest.approx([0.5, 1.0, 1.0], rel=1e-5)


@pytest.mark.parametrize("objective", ["elbo", "iwae", "dreg"])
def test_learning_raises_the_bound(objective: Any) -> None:
    x = torch.cat([torch.zeros(100, 6), torch.ones(100, 6)])
    model = make(d=1).fit(
        x, objective, epochs=150, lr=0.02, n_samples=None if objective == "elbo" else 5,
        generator=0, progress=False,
    )  # fmt: skip
    # The best is -log 2; independent bits, which a collapsed code gives, have -6 log 2.
    assert -0.9 < model.score(x, generator=0) < -0.6931
    assert model.active_units(x).all()
    codes = model.transform(x)[:, 0]
    assert (codes[:100].mean() - codes[100:].mean()).abs() > 1


@pytest.mark.parametrize("objective", ["elbo", "dreg"])
def test_interrupted_learning_goes_on_bit_for_bit(objective: Any, tmp_path: Path) -> None:
    options: dict[str, Any] = {"objective": objective, "batch_size": 10, "generator": 3}
    options |= {"progress": False, "optimization": Optimization(decay="constant")}
    if objective == "elbo":
        options["beta_warm_up"] = 4
    whole = make(prior=VampPrior(bits(3))).fit(bits(), epochs=4, **options)
    path = tmp_path / "learning.safetensors"
    make(prior=VampPrior(bits(3))).fit(bits(), epochs=2, checkpoint=path, **options)
    resumed = make(prior=VampPrior(bits(3))).fit(bits(), epochs=4, checkpoint=path, **options)
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key
    assert whole.history == resumed.history
    with pytest.raises(ValueError, match="rows"):
        make(prior=VampPrior(bits(3))).fit(bits(30), epochs=4, checkpoint=path, **options)


def test_validation_stops_early() -> None:
    model = make()
    model.fit(
        bits(8), validation=bits(20).flip(0), epochs=200, batch_size=8, lr=0.05, generator=0,
        callbacks=[EarlyStopping("validation_elbo", patience=5)], progress=False,
    )  # fmt: skip
    figures = [row["validation_elbo"] for row in model.history]
    assert len(figures) < 200 and max(figures) == figures[-6]
    assert model.elbo(bits(20).flip(0), generator=0).mean().item() == pytest.approx(max(figures))


def test_grey_pixels_are_drawn_anew() -> None:
    grey = torch.full((20, 6), 0.25)
    seen: list[Tensor] = []

    def augment(x: Tensor, generator: torch.Generator) -> Tensor:
        seen.append(bernoulli(x, generator=generator))
        return seen[-1]

    make().fit(grey, epochs=3, batch_size=20, augment=augment, generator=0, progress=False)
    assert not torch.equal(seen[-1], seen[-2])
    assert set(seen[-1].unique().tolist()) == {0.0, 1.0}


def test_conditions_choose() -> None:
    labels = torch.arange(120) % 3
    x = torch.eye(3)[labels].repeat_interleave(2, 1)
    model = make(told=3, condition=3)
    model.fit(
        x, condition=labels, validation=(x[:9], labels[:9]), epochs=60, lr=0.02,
        batch_size=20, generator=0, progress=False,
    )  # fmt: skip
    assert model.history[-1]["validation_elbo"] > -0.7
    for label in range(3):
        drawn = model.sample(50, True, condition=label, generator=0)
        assert (drawn.mean(0).round() == x[label]).all()
    assert model.log_prob(x[:4], 10, condition=labels[:4]).mean() > -0.5
    wrong = model.log_prob(x[:4], 10, condition=(labels[:4] + 1) % 3)
    assert wrong.mean() < -1
    assert model.interpolate(x[:2], x[3:5], 3, condition=labels[:2]).shape == (2, 3, 6)
    assert model.posterior(x[:4], condition=labels[:4]).mean.shape == (4, 2)
    assert model.likelihood(torch.zeros(2, 2), condition=[0, 1]).mean.shape == (2, 6)


def test_a_network_for_the_condition_is_learned(tmp_path: Path) -> None:
    x, words = bits(), torch.arange(40) % 5
    model = make(told=3, condition=nn.Embedding(5, 3))
    before = model.condition.network.weight.clone()
    model.fit(x, condition=words, epochs=1, lr=0.01, generator=0, progress=False)
    assert not torch.equal(before, model.condition.network.weight)
    model.save(tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match="made with an own condition; pass one like it"):
        VariationalAutoencoder.load(tmp_path / "m.safetensors", model.encoder, model.decoder)
    fresh = make(told=3, condition=nn.Embedding(5, 3))
    loaded = VariationalAutoencoder.load(
        tmp_path / "m.safetensors", fresh.encoder, fresh.decoder, condition=nn.Embedding(5, 3)
    )
    found = [m.elbo(x, condition=words, generator=0) for m in (model, loaded)]
    assert torch.equal(*found)


def test_codes_stay_whole_for_embeddings() -> None:
    encoder = nn.Sequential(nn.Embedding(3, 4), nn.Flatten(), nn.Linear(8, 4))
    decoder = mlp([2, 6], shape=(2, 3))
    model = VariationalAutoencoder(encoder, decoder, 2, "categorical")
    codes = np.array([[0, 2], [1, 1]])
    assert model.elbo(codes).shape == (2,)
    assert model.sample(3).dtype == torch.int64


def test_double_precision_and_numpy() -> None:
    model = make(prior=MixturePrior(2, 2)).double()
    x = bits().numpy()
    assert model.elbo(x).dtype == torch.float64
    assert model.sample(2).dtype == torch.float64
    assert make().elbo(x.astype(np.float64)).dtype == torch.float32


def test_collapse_is_seen() -> None:
    model = make()
    with torch.no_grad():
        last = model.encoder.layers[-1]
        last.weight[[1, 3]] = 0  # the second mean and log-variance say nothing
        last.bias[[1, 3]] = 0
        last.weight[0] *= 20
    x = bits()
    report = model.collapse_report(x)
    assert report.active.tolist() == model.active_units(x).tolist() == [True, False]
    assert report.kl[1] == 0 and report.kl[0] > 0.1
    torch.testing.assert_close(model.kl_per_dimension(x).sum(1), model.elbo_terms(x).kl)
    with pytest.raises(ValueError, match="MixturePrior does not part"):
        make(prior=MixturePrior(2, 2)).kl_per_dimension(x)
