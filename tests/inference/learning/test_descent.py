"""Steps down losses against loops written by hand, and what stops them."""

from __future__ import annotations

import math
from copy import deepcopy

import pytest
import torch
from torch import nn

from inference.learning.callbacks import Callback, EarlyStopping, Evaluate
from inference.learning.descent import Player, _Descent, descend
from inference.learning.optimization import Optimization
from inference.learning.schedule import Schedule
from inference.random import as_generator

QUIET = {"progress": False}


def network(seed=0, dropout=0.0):
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Dropout(dropout), nn.Linear(5, 3))


def rows(n=40):
    return torch.randn(n, 3, generator=as_generator(7))


def single(model):
    """A player that copies its input, with noise."""

    def loss(batch, generator):
        noise = torch.randn(batch.shape, generator=generator)
        found = (model(batch + 0.1 * noise) - batch).square().sum(1).mean()
        return found, {"doubled": 2 * found}

    return [Player("", list(model.parameters()), loss)]


def learned(model, epochs=3, optimization=None, **options):
    return descend(
        model,
        single(model),
        rows(),
        Schedule(epochs, 10, 0.01),
        optimization or Optimization(),
        as_generator(1),
        **(QUIET | options),
    )


def by_hand(model, epochs, make, decay=lambda share: 1 - share, clip=None):
    """The same steps, written out."""
    source, x = as_generator(1), rows()
    optimizer, taken = make(model.parameters()), 0
    for _ in range(epochs):
        torch.randint(2**62, (), generator=source)
        for chosen in torch.randperm(40, generator=source).split(10):
            noise = torch.randn(10, 3, generator=source)
            optimizer.zero_grad()
            (model(x[chosen] + 0.1 * noise) - x[chosen]).square().sum(1).mean().backward()
            if clip is not None:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.param_groups[0]["lr"] = 0.01 * decay(taken / (4 * epochs))
            optimizer.step()
            taken += 1
    return model


def slow_first(parameters):
    """An optimiser with rates of its own."""
    first, *rest = parameters
    return torch.optim.SGD([{"params": [first], "lr": 0.001}, {"params": rest}], lr=0.02)


def test_an_optimiser_that_is_handed_in_keeps_its_rates():
    model, other = network(), network()
    learned(model, optimization=Optimization(slow_first, decay="constant"))
    parameters = list(other.parameters())

    class Scaled(torch.optim.SGD):
        def step(self):
            for x, rate in zip(parameters, (0.001, 0.02, 0.02, 0.02), strict=True):
                x.data -= rate * x.grad

    by_hand(other, 3, lambda p: Scaled(p, 0.1))
    for own, wanted in zip(model.parameters(), parameters, strict=True):
        torch.testing.assert_close(own, wanted, rtol=1e-5, atol=1e-6)


MAKERS = {
    "whole betas": (Optimization(betas=(0, 0.9)), lambda p: torch.optim.Adam(p, betas=(0.0, 0.9))),
    "adam": (Optimization(betas=(0.5, 0.9)), lambda p: torch.optim.Adam(p, betas=(0.5, 0.9))),
    "adamw": (
        Optimization("adamw", weight_decay=0.3),
        lambda p: torch.optim.AdamW(p, weight_decay=0.3),
    ),
    "rmsprop": (
        Optimization("rmsprop", betas=(0.0, 0.99)),
        lambda p: torch.optim.RMSprop(p, alpha=0.99),
    ),
    "sgd": (Optimization("sgd", momentum=0.9), lambda p: torch.optim.SGD(p, 0.1, momentum=0.9)),
}


@pytest.mark.parametrize("method", MAKERS)
def test_steps_are_those_of_a_loop_written_by_hand(method):
    optimization, make = MAKERS[method]
    model, other = network(), network()
    learned(model, optimization=optimization)
    by_hand(other, 3, make)
    for own, wanted in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(own, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("decay", "curve"),
    [("constant", lambda share: 1.0), ("cosine", lambda s: 0.5 * (1 + math.cos(math.pi * s)))],
)
def test_rates_follow_the_schedule(decay, curve):
    model, other = network(), network()
    learned(model, optimization=Optimization(decay=decay))
    by_hand(other, 3, torch.optim.Adam, curve)
    torch.testing.assert_close(model[0].weight, other[0].weight, rtol=1e-5, atol=1e-6)
    wrong = by_hand(network(), 3, torch.optim.Adam)
    assert not torch.allclose(wrong[0].weight, other[0].weight, rtol=1e-5, atol=1e-6)


def test_gradients_are_clipped():
    model = network()
    learned(model, optimization=Optimization("sgd", clip_norm=0.1))
    other = by_hand(network(), 3, lambda p: torch.optim.SGD(p, 0.1), clip=0.1)
    torch.testing.assert_close(model[0].weight, other[0].weight, rtol=1e-5, atol=1e-6)


def test_the_mean_of_the_weights_is_left_behind():
    model, seen = network(), []
    keep = Evaluate(lambda model: {"bias": model[0].bias.tolist()})
    learned(model, optimization=Optimization(ema=0.9), callbacks=[keep], epochs=1)
    other, mean = network(), deepcopy(network())
    source, x = as_generator(1), rows()
    torch.randint(2**62, (), generator=source)
    optimizer = torch.optim.Adam(other.parameters())
    for taken, chosen in enumerate(torch.randperm(40, generator=source).split(10)):
        noise = torch.randn(10, 3, generator=source)
        optimizer.zero_grad()
        (other(x[chosen] + 0.1 * noise) - x[chosen]).square().sum(1).mean().backward()
        optimizer.param_groups[0]["lr"] = 0.01 * (1 - taken / 4)
        optimizer.step()
        decay = min(0.9, (taken + 1) / (taken + 10))
        for own, new in zip(mean.parameters(), other.parameters(), strict=True):
            own.data = decay * own.data + (1 - decay) * new.data
        seen.append(mean[0].bias.tolist())
    for own, wanted in zip(model.parameters(), mean.parameters(), strict=True):
        torch.testing.assert_close(own, wanted, rtol=1e-5, atol=1e-6)
    history = learned(network(), epochs=1, optimization=Optimization(ema=0.9), callbacks=[keep])
    torch.testing.assert_close(torch.tensor(history[0]["bias"]), torch.tensor(seen[-1]))


def test_players_take_turns_and_move_only_what_is_theirs():
    first, second = network(0), network(1)
    model = nn.ModuleDict({"first": first, "second": second})
    turns = []

    def loss(name):
        def of(batch, generator):
            turns.append(name)
            return (first(batch) - second(batch)).square().mean(), {}

        return of

    start = {name: x.clone() for name, x in model.state_dict().items()}
    players = [
        Player("first", list(first.parameters()), loss("first")),
        Player("second", list(second.parameters()), loss("second"), every=3, rate=0.0),
    ]
    history = descend(
        model, players, rows(), Schedule(3, 10), Optimization(), as_generator(1), **QUIET
    )
    assert turns == (["first"] * 3 + ["second"]) * 4
    for name, x in model.state_dict().items():
        assert torch.equal(x, start[name]) == name.startswith("second")
    assert {"first_loss", "second_loss"} < set(history[0])
    assert not any(x.grad is not None for x in model.parameters())


def test_what_follows_a_step_is_done_after_it():
    model = network()

    def clip():
        with torch.no_grad():
            for x in model.parameters():
                x.clamp_(-0.01, 0.01)

    (player,) = single(model)
    player = Player("", player.parameters, player.loss, then=clip)
    descend(model, [player], rows(), Schedule(1, 10), Optimization(), as_generator(1), **QUIET)
    assert max(float(x.detach().abs().max()) for x in model.parameters()) <= 0.01


def test_history_holds_means_of_figures():
    history = learned(network())
    assert [epoch["epoch"] for epoch in history] == [1, 2, 3]
    for epoch in history:
        assert epoch["doubled"] == pytest.approx(2 * epoch["loss"], rel=1e-6)


def test_global_random_state_decides_nothing_and_is_left_alone():
    states = []
    for seed in (3, 4):
        torch.manual_seed(seed)
        model, before = network(dropout=0.5), torch.get_rng_state()
        learned(model)
        assert torch.equal(torch.get_rng_state(), before)
        assert not model.training
        states.append(model[0].weight.detach().clone())
    assert torch.equal(*states)


def test_several_things_of_every_row_stay_together():
    x = torch.arange(40.0)[:, None]
    model, seen = nn.Linear(1, 1), []

    def loss(batch, generator):
        left, right = batch
        seen.append(torch.equal(2 * left, right))
        return (model(left) - right).square().mean(), {}

    players = [Player("", list(model.parameters()), loss)]
    pair = (x, 2 * x)
    descend(model, players, pair, Schedule(2, 8), Optimization(), as_generator(0), **QUIET)
    assert all(seen) and len(seen) == 10


def test_bfloat16_products_leave_parameters_as_they_are():
    model, plain = network(), network()
    seen = []
    model[0].register_forward_hook(lambda module, given, found: seen.append(found.dtype))
    learned(model, optimization=Optimization(mixed_precision=True))
    learned(plain)
    assert set(seen) == {torch.bfloat16}
    assert model[0].weight.dtype == torch.float32
    torch.testing.assert_close(model[0].weight, plain[0].weight, atol=0.02, rtol=0)


class TestEnds:
    def test_stops_when_a_figure_no_longer_gets_better_and_keeps_the_best(self):
        values, kept = iter([1.0, 3.0, 2.0, 2.5, 9.0]), []

        class Watch(Callback):
            def after_epoch(self, model, figures):
                figures["bound"] = next(values)
                kept.append(model[0].weight.detach().clone())
                return False

        model = network()
        stopping = EarlyStopping("bound", patience=2)
        history = learned(model, epochs=5, callbacks=[Watch(), stopping])
        assert [epoch["bound"] for epoch in history] == [1.0, 3.0, 2.0, 2.5]
        assert torch.equal(model[0].weight, kept[1])
        assert not torch.equal(kept[1], kept[3])

    def test_one_object_watches_lessons_in_turn(self):
        stopping, values = EarlyStopping("bound", patience=1), iter([9.0, 8.0, 1.0, 2.0, 3.0])
        watch = Evaluate(lambda model: {"bound": next(values)})
        learned(network(), epochs=2, callbacks=[watch, stopping])
        second, fresh = network(1), network(1)
        assert len(learned(second, callbacks=[watch, stopping])) == 3
        learned(fresh)
        assert torch.equal(second[0].weight, fresh[0].weight)

    @pytest.mark.parametrize("callbacks", [EarlyStopping("bound"), [len], 5])
    def test_what_are_no_callbacks_is_refused_before_a_step(self, callbacks):
        model = network()
        with pytest.raises(TypeError, match="callbacks must"):
            learned(model, callbacks=callbacks)
        assert torch.equal(model[0].weight, network()[0].weight)

    def test_method_that_makes_no_optimiser_is_refused(self):
        with pytest.raises(TypeError, match="method must return an optimizer of torch, found int"):
            learned(network(), optimization=Optimization(lambda parameters: 5))

    def test_less_may_be_better(self):
        values = iter([1.0, 0.5, 0.7, 0.1])
        watch = Evaluate(lambda model: {"error": next(values)})
        stopping = EarlyStopping("error", patience=1, mode="min")
        assert len(learned(network(), epochs=4, callbacks=[watch, stopping])) == 3

    def test_unknown_figure_is_named_with_those_there_are(self):
        with pytest.raises(ValueError, match="'elbo', but the history holds doubled, epoch"):
            learned(network(), callbacks=[EarlyStopping("elbo")])

    @pytest.mark.parametrize("bad", [math.nan, math.inf])
    def test_loss_that_is_no_number_stops_before_its_step(self, bad):
        model, losses = network(), []
        (sound,) = single(model)

        def loss(batch, generator):
            found, figures = sound.loss(batch, generator)
            losses.append({name: x.clone() for name, x in model.state_dict().items()})
            return found * (bad if len(losses) == 6 else 1.0), figures

        player = Player("", sound.parameters, loss)
        with pytest.raises(FloatingPointError, match="loss is not finite at step 6: try"):
            descend(
                model, [player], rows(), Schedule(3, 10), Optimization(), as_generator(1), **QUIET
            )
        for name, x in model.state_dict().items():
            assert torch.equal(x, losses[-1][name])
            assert x.isfinite().all()
        assert not model.training

    @pytest.mark.parametrize(("every", "step"), [(1, 7), (3, 9)])
    def test_step_is_named_where_losses_are_looked_at_after_the_epoch(self, every, step):
        model, source = network(), as_generator(1)
        (sound,) = single(model)
        taken = []

        def loss(batch, generator):
            taken.append(0)
            found, figures = sound.loss(batch, generator)
            # Only from here on, as the parameters are no numbers after it.
            return found * (math.nan if len(taken) >= step // every else 1.0), figures

        players = [Player("", sound.parameters, loss, every=every)]
        learner = _Descent(model, players, Optimization(), [], "loss", 0.01)
        learner._on_cpu = False  # as on a device that the host does not wait for
        for place in range(4 * every):
            learner.step(rows(10), 0.01, place, source)
            if place == 1:
                learner.report()  # an epoch of two steps, and another one
        while learner._taken < 10:
            learner.step(rows(10), 0.01, learner._taken, source)
        with pytest.raises(FloatingPointError, match=f"loss is not finite at step {step}:"):
            learner.report()

    def test_gradient_that_is_no_number_is_found_before_a_checkpoint_is_written(self, tmp_path):
        model, path, seen = nn.Linear(1, 1), tmp_path / "state.safetensors", []

        def loss(batch, generator):
            seen.append(0)
            gap = (model(batch) - batch).square().mean()
            # The slope of a root at zero is infinite, and times zero no number.
            return (gap + ((0 * gap).sqrt() if len(seen) == 8 else 0.0)), {}

        players = [Player("", list(model.parameters()), loss)]
        x = torch.ones(20, 1)
        with pytest.raises(FloatingPointError, match=r"parameter weight .* after step 8"):
            descend(
                model,
                players,
                x,
                Schedule(4, 5, 0.1),
                Optimization(),
                as_generator(1),
                checkpoint=path,
                **QUIET,
            )
        assert path.exists()
        from inference.tensor_files import read_tensors

        config, tensors = read_tensors(str(path), "LearningState")
        assert config["figures"]["epoch"] == 1
        assert tensors["parameters.weight"].isfinite().all()

    def test_nothing_to_learn(self):
        players = [Player("critic", [], lambda batch, generator: (batch.sum(), {}))]
        with pytest.raises(ValueError, match="no parameters to learn by the critic"):
            descend(nn.Linear(1, 1), players, rows(), Schedule(), Optimization(), as_generator(0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "lbfgs"}, "method must be one of"),
        ({"betas": (0.9, 1.0)}, "betas must be"),
        ({"momentum": 1.0}, "momentum must be"),
        ({"weight_decay": -1.0}, "weight_decay must be"),
        ({"clip_norm": 0.0}, "clip_norm must be"),
        ({"ema": 1.0}, "ema must be"),
        ({"decay": "steps"}, "decay must be"),
    ],
)
def test_settings_that_make_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        Optimization(**options)
