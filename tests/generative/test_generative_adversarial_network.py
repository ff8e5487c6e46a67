"""Adversarial networks: the value of the game, units, turns, remedies, files, refusals."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from generative.gan.conditioning_augmentation import ConditioningAugmentation
from generative.gan.minibatch_features import MinibatchDeviation
from generative.gan.objectives import gan_value, optimal_discriminator
from generative.generative_adversarial_network import GenerativeAdversarialNetwork
from generative.metrics.mode_coverage import mode_coverage
from generative.networks import dcgan_discriminator, dcgan_generator, mlp
from generative.toy import grid, grid_centres, ring, ring_centres
from inference.learning.callbacks import Callback, Evaluate
from inference.learning.descent import descend
from inference.learning.optimization import Optimization
from inference.learning.schedule import Schedule


def made(*args: Any, inputs: int = 2, judged: int = 2, **options: Any) -> Any:
    """A small model of pairs of numbers, float64."""
    maker = mlp([inputs, 16, 2], generator=0).double()
    judge = mlp([judged, 16, 1], "leaky_relu", generator=1).double()
    options = {"latent_dim": 2, **options}
    return GenerativeAdversarialNetwork(maker, judge, *args, **options)


def rows(n: int = 96) -> Tensor:
    """Pairs, float64."""
    return torch.randn(n, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(7))


def learned(model: Any, x: Tensor, **options: Any) -> Any:
    """The model after a few steps."""
    return model.fit(
        x, **{"steps": 6, "batch_size": 32, "generator": 0, **options}, progress=False
    )


class Interrupted(Exception):
    """Raised in the middle of learning."""


class Stop(Callback):
    """Interrupts learning after an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def after_epoch(self, model: nn.Module, figures: dict[str, Any]) -> bool:
        if figures["epoch"] == self.epoch:
            raise Interrupted
        return False


# The game --------------------------------------------------------------------------------------


def test_T24_value_of_an_undecided_and_of_the_best_discriminator() -> None:
    p, q = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.2, 0.2, 0.6])
    # The generator draws points 0, 1, 2 with law q, from a normal number.
    steps = torch.distributions.Normal(0, 1).icdf(q.cumsum(0)[:2])

    class Points(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            return (z > steps).sum(1, keepdim=True).to(z)

    class Best(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return optimal_discriminator(p, q).logit()[x.long()].float()

    x = torch.arange(3.0).repeat_interleave((10 * p).round().long())[:, None]
    n = 200_000
    undecided = nn.Linear(1, 1)
    nn.init.zeros_(undecided.weight)
    nn.init.zeros_(undecided.bias)
    flat = GenerativeAdversarialNetwork(Points(), undecided, latent_dim=1)
    assert flat.value(x, generator=0) == pytest.approx(-math.log(4), abs=1e-6)
    best = GenerativeAdversarialNetwork(Points(), Best(), latent_dim=1)
    # log(1 - D) is from -1.25 to -.29: an error of 5 of its deviations has chance 6e-7.
    exact = gan_value(p, q).item()
    assert best.value(x, n, generator=0) == pytest.approx(exact, abs=5 * 0.5 / n**0.5)
    assert flat.value(x, generator=0) < exact - 0.1


def test_discriminator_climbs_to_the_best_logit() -> None:
    """Against a generator that stands still it finds log p - log q, here a parabola's."""

    class Quadratic(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = mlp([2, 1], generator=0)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(torch.cat([x, x.square()], 1))

    generator = nn.Linear(1, 1)
    with torch.no_grad():
        generator.weight.fill_(1.0)
        generator.bias.zero_()
    x = 1 + torch.randn(4000, 1, generator=torch.Generator().manual_seed(0))
    model = GenerativeAdversarialNetwork(generator, Quadratic(), standardize=False)
    for p in generator.parameters():
        p.requires_grad_(False)
    # Its own rate: the generator has nothing to learn and is not asked for a step.
    player = model._players()[0]
    source = torch.Generator().manual_seed(0)
    schedule = Schedule(None, 400, 0.1, 600)
    descend(model, [player], x, schedule, Optimization(), source, progress=False)
    found = model.logits(torch.tensor([[-1.0], [0.0], [1.0], [2.0]])).detach()
    assert torch.allclose(found, torch.tensor([-1.5, -0.5, 0.5, 1.5]), atol=0.25)


def test_first_step_follows_the_losses_written_out() -> None:
    x = rows(32)
    for loss in ("minimax", "as-printed"):
        model = made(loss, r1=0.5, standardize=False)
        plain = copy.deepcopy(model)
        learned(model, x, steps=1, lr=0.1, optimization=Optimization("sgd", decay="constant"))
        # The same draws, in the same order: seed, order of the rows, two batches of noise.
        source = torch.Generator().manual_seed(0)
        torch.randint(2**62, (), generator=source)
        real = x[torch.randperm(32, generator=source)].requires_grad_()
        z1 = torch.empty(32, 2, dtype=torch.float64).normal_(generator=source)
        judge, g = plain.discriminator, plain.generator
        d_real, d_fake = judge(real).sigmoid(), judge(g(z1).detach()).sigmoid()
        (slopes,) = torch.autograd.grad(judge(real).sum(), real, create_graph=True)
        cost = -d_real.log().mean() - (1 - d_fake).log().mean()
        cost = cost + 0.25 * slopes.square().sum(1).mean()
        grads = torch.autograd.grad(cost, list(judge.parameters()))
        with torch.no_grad():
            for p, slope in zip(judge.parameters(), grads, strict=True):
                p -= 0.1 * slope
        z2 = torch.empty(32, 2, dtype=torch.float64).normal_(generator=source)
        d_fake = judge(g(z2)).sigmoid()
        cost = (1 - d_fake).log().mean() if loss == "minimax" else -d_fake.mean()
        grads = torch.autograd.grad(cost, list(g.parameters()))
        with torch.no_grad():
            for p, slope in zip(g.parameters(), grads, strict=True):
                p -= 0.1 * slope
        for p, q in zip(model.parameters(), plain.parameters(), strict=True):
            assert torch.allclose(p, q, rtol=1e-9, atol=1e-12)


def test_one_pass_for_both_is_two_passes() -> None:
    x = rows()
    model = made()
    other = copy.deepcopy(model)
    # A layer of which nothing is known keeps the passes apart.
    other.discriminator.layers.append(type("Own", (nn.Identity,), {"__module__": "own"})())
    learned(model, x)
    learned(other, x)
    assert model._joined and not other._joined
    assert torch.allclose(model.sample(9, generator=1), other.sample(9, generator=1), rtol=1e-9)


# Units -----------------------------------------------------------------------------------------


def test_learning_does_not_depend_on_the_unit_of_the_data() -> None:
    x = rows()
    plain, scaled = learned(made(r1=0.1), x), learned(made(r1=0.1), 1000 * x + 5)
    found = scaled.sample(20, generator=1)
    assert torch.allclose(found, 1000 * plain.sample(20, generator=1) + 5, rtol=1e-6)
    assert torch.allclose(scaled.logits(1000 * x + 5), plain.logits(x), rtol=1e-6)
    assert scaled.location.tolist() == pytest.approx((1000 * x.mean(0) + 5).tolist())
    assert scaled.scale.item() == pytest.approx(1000 * x.var(0, correction=0).mean().sqrt().item())
    # The unit stays that of the first data.
    before = scaled.scale.clone()
    assert torch.equal(learned(scaled, 3 * x).scale, before)
    off = learned(made(standardize=False), x)
    assert off.scale.item() == 1 and not off.location.any()


def test_bounded_generators_keep_their_range() -> None:
    generator = mlp([2, 8, 2], output="tanh", generator=0)
    model = GenerativeAdversarialNetwork(generator, mlp([2, 8, 1], generator=1))
    learned(model, torch.rand(64, 2))
    assert not model.standardize and model.scale.item() == 1
    assert model.sample(100, generator=0).abs().max() <= 1


# Remedies and conditions -----------------------------------------------------------------------


def test_packed_rows_are_judged_together(monkeypatch: pytest.MonkeyPatch) -> None:
    x = rows()
    model = learned(made(pack=2, judged=4), x)
    found = model.logits(x)
    monkeypatch.setattr("generative.gan.adversarial.BLOCK", 28)
    assert torch.allclose(model.logits(x), found)
    assert model.sample(50, generator=0).shape == (50, 2)
    units = (x - model.location) / model.scale
    expected = model.discriminator(units.reshape(48, 4)).flatten()
    assert torch.allclose(model.logits(x), expected)
    assert -10 < model.value(x, generator=0) < 0


def test_unrolled_generator_knows_the_answer() -> None:
    """One step of SGD by hand, through the discriminator's step."""
    x = rows(32)
    model = made("minimax", unrolled_steps=1, unrolled_lr=0.7, standardize=False)
    game = model._round(x, model.generator(rows(32)), None)
    loss = model._generator_loss(game)
    names = [name for name, _ in model.discriminator.named_parameters()]
    weights = dict(model.discriminator.named_parameters())

    def logits(parameters: dict[str, Tensor], at: Tensor) -> Tensor:
        return torch.func.functional_call(model.discriminator, parameters, (at,)).sigmoid()

    cost = -logits(weights, x).log().mean() - (1 - logits(weights, game.fake)).log().mean()
    slopes = torch.autograd.grad(cost, [weights[name] for name in names], create_graph=True)
    stepped = {name: weights[name] - 0.7 * s for name, s in zip(names, slopes, strict=True)}
    expected = (1 - logits(stepped, game.fake)).log().mean()
    wanted = list(model.generator.parameters())
    first = torch.autograd.grad(loss, wanted, retain_graph=True)
    second = torch.autograd.grad(expected, wanted, retain_graph=True)
    assert torch.isclose(loss, expected)
    assert all(torch.allclose(a, b) for a, b in zip(first, second, strict=True))
    # Without the path through the answer the slopes are others.
    fixed = {name: p.detach() for name, p in stepped.items()}
    short = torch.autograd.grad((1 - logits(fixed, game.fake)).log().mean(), wanted)
    assert not torch.allclose(first[0], short[0], rtol=1e-3)
    assert learned(model, x).history[-1]["generator_loss"] < 0


def test_minibatch_features_see_data_and_samples_apart() -> None:
    judge = nn.Sequential(MinibatchDeviation(), nn.Linear(3, 1)).double()
    model = GenerativeAdversarialNetwork(mlp([2, 2]).double(), judge)
    learned(model, rows())
    assert not model._joined


def test_labels_are_learned() -> None:
    source = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 2, (600,), generator=source)
    x = torch.randn(600, 1, generator=source) * 0.3 + 4 * labels[:, None]
    networks = mlp([3, 16, 1], generator=0), mlp([3, 16, 1], "leaky_relu", generator=1)
    model = GenerativeAdversarialNetwork(*networks, condition=2, r1=0.01)
    assert model.latent_dim == 1
    model.fit(x, condition=labels, steps=500, batch_size=100, generator=0, progress=False)
    low, high = (model.sample(300, label, generator=0) for label in (0, 1))
    assert low.median() < 1.5 and high.median() > 2.5
    both = model.sample(4, [0, 1, 0, 1], generator=0)
    assert (both[1::2] > both[::2]).all()
    assert -2 < model.value(x, condition=labels, generator=0) < 0


def test_augmented_conditions_learn_and_repeat() -> None:
    x, told = rows(), torch.eye(3).repeat(32, 1).double()
    augmentation = ConditioningAugmentation(3, 2).double()
    model = made(inputs=4, judged=4, latent_dim=None, condition=augmentation)
    assert model.latent_dim == 2
    before = augmentation.layer.weight.detach().clone()
    learned(model, x, condition=told)
    assert model.history[-1]["divergence"] > 0
    assert not torch.equal(before, augmentation.layer.weight)
    first, second = (model.sample(6, told[:6], generator=3) for _ in range(2))
    assert torch.equal(first, second)


# Learning --------------------------------------------------------------------------------------


def test_interrupted_learning_goes_on_bit_for_bit(tmp_path: Path) -> None:
    x = rows()
    options = {"epochs": 4, "checkpoint": tmp_path / "state.safetensors"}
    straight = learned(made(r1=0.1), x, epochs=4)
    with pytest.raises(Interrupted):
        learned(made(r1=0.1), x, **options, callbacks=[Stop(3)])
    resumed = learned(made(r1=0.1), x, **options)
    assert torch.equal(resumed.sample(9, generator=0), straight.sample(9, generator=0))
    assert resumed.history == straight.history
    with pytest.raises(ValueError, match="other model"):
        learned(made(r1=0.2), x, **options)
    with pytest.raises(ValueError, match="other data"):
        learned(made(r1=0.1), 2 * x, **options)


def test_history_seeds_and_global_draws() -> None:
    x = rows()
    state = torch.get_rng_state()
    first, second = (
        learned(made(), x, callbacks=[Evaluate(lambda m: {"v": m.value(x, generator=0)})])
        for _ in range(2)
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert first.history == second.history and len(first.history) == 2
    names = {"epoch", "discriminator_loss", "generator_loss", "value", "real_logit", "fake_logit"}
    assert set(first.history[0]) == names | {"v"}
    assert not first.training
    assert torch.equal(first.sample(5, generator=1), second.sample(5, generator=1))
    assert not torch.equal(first.sample(5, generator=1), first.sample(5, generator=2))


@pytest.mark.parametrize("loss", ["minimax", "as-printed", "least-squares", "hinge"])
def test_files(loss: Any, tmp_path: Path) -> None:
    model = learned(made(loss, pack=2, judged=4, r1=0.1, unrolled_steps=1), rows())
    model.save(tmp_path / "model.safetensors")
    networks = mlp([2, 16, 2]), mlp([4, 16, 1], "leaky_relu")
    again = GenerativeAdversarialNetwork.load(tmp_path / "model.safetensors", *networks)
    assert again.config() == model.config()
    assert torch.equal(again.sample(5, generator=1), model.sample(5, generator=1))
    assert torch.equal(again.logits(rows()), model.logits(rows()))
    with pytest.raises(TypeError, match="discriminator must be a module like the one"):
        GenerativeAdversarialNetwork.load(tmp_path / "model.safetensors", networks[0])


def test_files_with_conditions(tmp_path: Path) -> None:
    model = made(inputs=4, judged=4, condition=nn.Linear(3, 2).double())
    model.save(tmp_path / "model.safetensors")
    networks = mlp([4, 16, 2]), mlp([4, 16, 1], "leaky_relu")
    load = GenerativeAdversarialNetwork.load
    again = load(tmp_path / "model.safetensors", *networks, condition=nn.Linear(3, 2))
    told = torch.eye(3).double()
    assert torch.equal(model.sample(3, told, generator=0), again.sample(3, told, generator=0))
    with pytest.raises(ValueError, match="condition must be the module"):
        load(tmp_path / "model.safetensors", *networks)


def test_images_of_convolutions_with_batch_normalisation() -> None:
    x = torch.rand(24, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    generator = dcgan_generator(4, 1, 16, 4, generator=0)
    model = GenerativeAdversarialNetwork(generator, dcgan_discriminator(1, 16, 4, generator=1))
    learned(model, x, batch_size=8)
    assert model.latent_dim == 4 and not model._joined
    samples = model.sample(10, generator=0)
    assert samples.shape == (10, 1, 16, 16)
    # One sample does not depend on the others.
    z = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(model.generate(z)[1:2], model.generate(z[1:2]), atol=1e-6)
    assert model.generate(z.requires_grad_()).requires_grad and model.sample(0).shape[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize("law", ["ring", "grid"])
def test_modes_of_the_plane(law: str) -> None:
    data, centres, std, steps = {
        "ring": (ring(100_000, generator=0), ring_centres(), 0.01, 5000),
        "grid": (grid(100_000, generator=0), grid_centres(), 0.05, 10000),
    }[law]
    networks = mlp([2, 64, 64, 64, 2], generator=0), mlp([2, 64, 64, 64, 1], "leaky_relu")
    networks = networks[0], mlp([2, 64, 64, 64, 1], "leaky_relu", generator=100)
    model = GenerativeAdversarialNetwork(*networks, r1=0.01)
    model.fit(data, steps=steps, generator=0, progress=False)
    found = mode_coverage(model.sample(2500, generator=1), centres, std)
    assert found.modes == len(centres)
    assert found.high_quality > 0.88 and found.reverse_kl < 0.03


# Refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "wasserstein"}, "loss must be one of"),
        ({"r1": -1.0}, "r1 must be at least 0"),
        ({"r1": math.nan}, "r1 must be at least 0"),
        ({"unrolled_steps": -1}, "unrolled_steps must be at least 0"),
        ({"unrolled_lr": 0.0}, "unrolled_lr must be positive"),
        ({"latent_dim": 0}, "latent_dim must be at least 1"),
        ({"condition": 1}, "condition must be at least 2"),
        ({"divergence_weight": -1.0}, "divergence_weight must be at least 0"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(**options)


def test_latent_dim_that_cannot_be_told() -> None:
    with pytest.raises(ValueError, match="latent_dim cannot be told"):
        GenerativeAdversarialNetwork(nn.Identity(), nn.Linear(2, 1))
    with pytest.raises(TypeError, match="generator must be a torch module, found str"):
        GenerativeAdversarialNetwork("g", nn.Linear(2, 1))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("model", "x", "options", "message"),
    [
        ({}, [[0.0, math.nan]], {}, "x must not hold NaN"),
        ({}, [[0.0, math.inf]], {}, "x must be finite"),
        ({}, [0.0, 1.0], {}, r"x must be \(batch, \*event\)"),
        ({}, [[0.0, 1.0, 2.0]] * 4, {}, r"generator returned \(2,\), but data rows are \(3,\)"),
        ({}, [[1.0, 1.0]] * 4, {}, "x must have rows that differ"),
        (
            {"inputs": 3},
            [[0.0, 1.0]] * 4,
            {},
            r"generator must take \(batch, 2\).*takes 3",
        ),
        ({"judged": 3}, [[0.0, 1.0]] * 4, {}, r"discriminator must take \(batch, 2\)"),
        ({"pack": 2}, [[0.0, 1.0]] * 4, {}, r"discriminator must take \(batch, 4\)"),
        ({"pack": 3}, [[0.0, 1.0]] * 4, {}, "pack must divide the rows of a batch.*pack=3 and 4"),
        ({"condition": 2}, [[0.0, 1.0]] * 4, {}, "condition must be given"),
        ({}, [[0.0, 1.0]] * 4, {"condition": [0] * 4}, "condition must be None"),
        ({}, [[0.0, 1.0]] * 4, {"lr": -1.0}, "lr must be at least 0"),
    ],
)
def test_bad_data_are_refused(
    model: dict[str, Any], x: Any, options: dict[str, Any], message: str
) -> None:
    gan = made(**model)
    before = [p.clone() for p in gan.parameters()]
    with pytest.raises(ValueError, match=message):
        gan.fit(x, **options, generator=0, progress=False)
    assert gan.event_shape is None and gan.history == []
    assert all(torch.equal(p, q) for p, q in zip(gan.parameters(), before, strict=True))


def test_learning_that_is_refused_leaves_no_units(tmp_path: Any) -> None:
    gan, fresh = made(), made()
    with pytest.raises(FileNotFoundError, match="its folder does not exist"):
        gan.fit(1e6 * rows(), checkpoint=tmp_path / "none" / "x", progress=False)
    assert gan.event_shape is None
    assert gan.location.shape == () and gan.scale == 1
    for model in (gan, fresh):
        learned(model, rows())
    assert torch.equal(gan.location, fresh.location) and torch.equal(gan.scale, fresh.scale)


def test_other_bad_calls_are_refused() -> None:
    model = learned(made(), rows())
    with pytest.raises(ValueError, match=r"x must be \(batch, 2\)"):
        model.logits(torch.zeros(3, 4))
    with pytest.raises(ValueError, match=r"z must be \(batch, 2\), found \(3, 4\)"):
        model.generate(torch.zeros(3, 4))
    with pytest.raises(ValueError, match="n must be at least 0"):
        model.sample(-1)
    with pytest.raises(ValueError, match="pack must divide"):
        learned(made(pack=2, judged=4), rows()).logits(rows(3))
    with pytest.raises(FloatingPointError, match="not finite"):
        learned(made(), rows(), lr=1e160)
