"""Autoencoders: answers that are known (principal components, Wiener filters), and learning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from generative.autoencoder import Autoencoder
from generative.networks import Activation, mlp
from inference.learning.callbacks import Callback, EarlyStopping
from inference.learning.optimization import Optimization

QUIET: dict[str, Any] = {"generator": 0, "progress": False}


def normal(*shape: int, seed: int = 0) -> Tensor:
    source = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=source, dtype=torch.float64)


def correlated(n: int, seed: int = 0) -> Tensor:
    """Rows of six numbers with variances from 4 to 0.1 along some axes, and mean zero."""
    axes = torch.linalg.qr(normal(6, 6, seed=7)).Q
    scales = torch.tensor([4.0, 2.0, 1.0, 0.5, 0.2, 0.1], dtype=torch.float64).sqrt()
    rows = normal(n, 6, seed=seed) * scales @ axes.T
    return rows - rows.mean(0)


def pair(
    sizes: list[int],
    curve: Activation = "tanh",
    *,
    output: Activation | None = None,
    **options: Any,
) -> Autoencoder:
    """An encoder of these sizes and a decoder of the reverse."""
    encoder = mlp(sizes, curve, output, generator=0).double()
    return Autoencoder(encoder, mlp(sizes[::-1], curve, generator=1).double(), **options)


# Known answers --------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1, 2, 4])
def test_linear_codes_reach_the_principal_subspace(width: int) -> None:
    rows = correlated(200)
    model = pair([6, width]).fit(rows, epochs=400, batch_size=200, lr=0.05, **QUIET)
    _, spectrum, axes = torch.linalg.svd(rows, full_matrices=False)
    best = spectrum[width:].square().sum().item() / 200  # no map of this rank is better
    assert best - 1e-9 <= -model.score(rows) <= best * (1 + 1e-4)
    plane = axes[:width].T @ axes[:width]
    assert torch.allclose(model.reconstruct(rows), rows @ plane, atol=0.05)


def test_linear_denoising_learns_the_wiener_filter() -> None:
    rows, level = correlated(400), 1.0
    model = pair([6, 6], penalty="denoising", noise_level=level)
    model.fit(rows, epochs=150, batch_size=100, lr=0.02, **QUIET)
    identity = torch.eye(6, dtype=torch.float64)
    spread = rows.T @ rows / 400
    with torch.no_grad():
        offset = model.decode(model.encode(torch.zeros(1, 6)))[0]
        found = (model.decode(model.encode(identity)) - offset).T

    def expected(filtering: Tensor) -> float:
        """Mean squared error of filtered rows with noise."""
        bias = (filtering - identity) @ spread @ (filtering - identity).T
        return float(bias.trace() + level**2 * filtering.square().sum())

    best = expected(spread @ torch.linalg.inv(spread + level**2 * identity))
    error = expected(found) + float(offset @ offset)
    assert best <= error <= 1.02 * best
    assert expected(identity) > 2 * best


def test_linear_maps_shrink_under_the_penalty_of_their_slopes() -> None:
    # One number x -> w x -> v w x: s (1 - v w)^2 + lambda w^2, s a variance, is as small as one
    # likes for a small w and v = 1 / w: the weights of the encoder shrink, and the error does not.
    rows = correlated(200)
    free, tight = [
        pair([6, 3], penalty="contractive", weight=weight).fit(
            rows, epochs=100, batch_size=50, lr=0.02, **QUIET
        )
        for weight in (0.0, 1.0)
    ]
    weights = [model.encoder.layers[0].weight.square().sum().item() for model in (free, tight)]  # pyright: ignore
    assert weights[1] < 0.5 * weights[0]
    assert tight.penalties(rows)[0].item() == pytest.approx(weights[1])
    assert not free.penalties(rows).any()


def test_T22_five_rows_through_two_numbers() -> None:
    # log2 5 bits: two real codes or three bits are enough. One number through a line of logits is
    # not: each bit is on along a half-line, so that only the two outermost codes can be told.
    rows = torch.eye(5, dtype=torch.float64)
    right = []
    for width in (1, 2):
        found = [
            Autoencoder(
                mlp([5, width], generator=seed).double(),
                mlp([width, 5], generator=seed + 10).double(),
                loss="bernoulli",
            ).fit(rows, epochs=200, batch_size=5, lr=0.1, **QUIET)
            for seed in range(3)
        ]
        right += [[torch.equal(model.reconstruct(rows).round(), rows) for model in found]]
    assert right == [[False] * 3, [True] * 3]


def test_T22_five_rows_through_three_bits() -> None:
    rows = torch.eye(5, dtype=torch.float64)
    model = pair([5, 3], output="sigmoid", loss="bernoulli")
    model.fit(rows, epochs=800, batch_size=5, lr=0.1, **QUIET)
    bits = model.encode(rows).round()
    assert len(bits.unique(dim=0)) == 5
    assert torch.equal(model.decode(bits).round(), rows)


# Penalties ------------------------------------------------------------------------------------


def test_penalised_codes_are_sparser() -> None:
    rows = correlated(200)
    shares = []
    for weight in (0.0, 0.5):
        model = pair([6, 12], output="relu", penalty="sparse", weight=weight)
        model.fit(rows, epochs=60, batch_size=50, lr=0.01, **QUIET)
        codes = model.encode(rows)
        shares.append((codes < 1e-3).double().mean().item())
        assert torch.allclose(model.penalties(rows), weight * codes.abs().sum(1))
    assert shares[1] > shares[0] + 0.1


def test_denoising_cleans_better_than_copying() -> None:
    rows, test = correlated(400), correlated(200, seed=1)
    errors = []
    for penalty in (None, "denoising"):
        model = pair([6, 24, 6], "relu", penalty=penalty, noise_level=0.7)
        model.fit(rows, epochs=40, batch_size=50, lr=0.01, **QUIET)
        cleaned = model.reconstruct(model.corrupt(test, generator=5))
        errors.append((cleaned - test).square().sum(1).mean().item())
    assert errors[1] < 0.8 * errors[0]


def test_rows_of_bits_may_be_damaged_beyond_bits() -> None:
    rows = (correlated(100) > 0).double()
    model = pair([6, 8], "relu", penalty="denoising", loss="bernoulli", noise_level=0.5)
    model.fit(rows, epochs=2, **QUIET)
    noisy = model.corrupt(rows, generator=0)
    assert noisy.min() < 0
    assert model.reconstruct(noisy).min() > 0
    with pytest.raises(ValueError, match="x must be from 0 to 1 for bits"):
        model.errors(noisy)


@pytest.mark.parametrize("penalty", [None, "sparse", "contractive"])
@pytest.mark.parametrize("loss", ["squared", "bernoulli"])
def test_batches_equal_loops(penalty: Any, loss: Any, device: torch.device) -> None:
    model = pair([6, 5, 3], penalty=penalty, loss=loss).to(device)
    rows = torch.rand(7, 6, generator=torch.Generator().manual_seed(0)).to(device)
    for method in (model.errors, model.penalties, model.encode, model.reconstruct):
        loop = torch.cat([method(row[None]) for row in rows])
        assert torch.allclose(method(rows), loop, atol=1e-10)
    assert model.score(rows) == pytest.approx(-model.errors(rows).mean().item())
    assert model.errors(rows).requires_grad
    with torch.no_grad():
        assert not model.penalties(rows).requires_grad


# Fakes and classifiers ------------------------------------------------------------------------


def test_fakes_are_decoded_from_codes_with_noise() -> None:
    # With identities on both sides, the noise is what is seen; see the law of it in the terms.
    model, x = Autoencoder(nn.Identity(), nn.Identity()), torch.zeros(50, 200)
    found = model.vary(x, 2.0, generator=0)
    assert abs(found.square().mean() / 4 - 1) < 6 * (2 / 10_000) ** 0.5
    assert torch.equal(found, model.vary(x, 2.0, generator=0))
    assert torch.equal(model.vary(x, 0.0), model.reconstruct(x))
    with pytest.raises(ValueError, match="scale must be at least 0 and finite, found -1"):
        model.vary(x, -1)


def test_classifier_is_a_copy_that_learns() -> None:
    rows = correlated(200)
    model = pair([6, 8, 3]).fit(rows, epochs=2, **QUIET)
    labels = (rows @ normal(6) > 0).long()
    network = model.to_classifier(2)
    assert network.training
    assert not network(rows).any()
    before = {name: x.clone() for name, x in model.state_dict().items()}
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(rows), labels).backward()
        assert all([x.grad is not None for x in network.parameters()])
        optimizer.step()
    assert (network(rows).argmax(1) == labels).double().mean() > 0.95
    assert all([torch.equal(x, before[name]) for name, x in model.state_dict().items()])
    with pytest.raises(ValueError, match="event_shape is not known yet"):
        pair([6, 3]).to_classifier(2)


# Learning -------------------------------------------------------------------------------------


class Killed(Callback):
    """Stops everything after an epoch."""

    def after_epoch(self, model: nn.Module, figures: dict[str, Any]) -> bool:
        if figures["epoch"] == 3:
            raise KeyboardInterrupt
        return False


def dropping(penalty: Any) -> Autoencoder:
    """A model with dropout, whose draws must be resumed too."""
    encoder = mlp([6, 8, 3], dropout=0.2, generator=0).double()
    return Autoencoder(encoder, mlp([3, 6], generator=1).double(), penalty)


@pytest.mark.parametrize("penalty", [None, "contractive", "denoising"])
def test_learning_that_was_killed_goes_on_bit_for_bit(penalty: Any, tmp_path: Path) -> None:
    rows, before = correlated(100), torch.get_rng_state()
    options: dict[str, Any] = {"epochs": 6, "batch_size": 30, "validation": rows[:9], **QUIET}
    whole = dropping(penalty).fit(rows, **options)
    options["checkpoint"] = tmp_path / "state.safetensors"
    with pytest.raises(KeyboardInterrupt):
        dropping(penalty).fit(rows, callbacks=[Killed()], **options)
    again = dropping(penalty).fit(rows, **options)
    assert again.history == whole.history
    for name, x in whole.state_dict().items():
        assert torch.equal(x, again.state_dict()[name])
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(ValueError, match="holds learning with other data"):
        dropping(penalty).fit(2 * rows, **options)
    with pytest.raises(ValueError, match="holds learning with other model"):
        dropping("sparse").fit(rows, **options)


def test_history_and_settings() -> None:
    rows, held_out = correlated(100), correlated(50, seed=1)
    model = pair([6, 3], penalty="sparse")
    model.fit(
        rows,
        epochs=5,
        validation=held_out,
        optimization=Optimization("sgd", momentum=0.5),
        callbacks=[EarlyStopping("validation_error", patience=3, mode="min")],
        **QUIET,
    )
    assert not model.training
    assert [figures["epoch"] for figures in model.history] == [1, 2, 3, 4, 5]
    for figures in model.history:
        assert figures["loss"] == pytest.approx(figures["error"] + figures["penalty"])
    best = min([figures["validation_error"] for figures in model.history])
    assert -model.score(held_out) == pytest.approx(best)
    assert best < -pair([6, 3]).score(held_out)


def test_files(tmp_path: Path) -> None:
    rows, path = correlated(50), tmp_path / "model.safetensors"
    model = pair([6, 3], penalty="sparse", weight=0.2).fit(rows, epochs=1, **QUIET)
    model.save(path)
    parts = [mlp(sizes, generator=5).double() for sizes in ([6, 3], [3, 6])]
    copy = Autoencoder.load(path, *parts)
    assert copy.config() == model.config()
    assert torch.equal(copy.encode(rows), model.encode(rows))
    assert copy.to_classifier(2)(rows).shape == (50, 2)
    with pytest.raises(TypeError, match="encoder must be a module like the one"):
        Autoencoder.load(path)
    with pytest.raises(ValueError, match="decoder must take"):
        Autoencoder.load(path, parts[0], mlp([2, 6]).double())


# Errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"penalty": "l1"}, "penalty must be one of sparse, .*, None, found 'l1'"),
        ({"loss": "mse"}, "loss must be one of squared, bernoulli, found"),
        ({"noise": "salt"}, "noise must be one of gaussian, masking, found"),
        ({"weight": -1}, "weight must be at least 0 and finite, found -1"),
        ({"noise_level": -0.1}, "noise_level must be at least 0"),
        ({"noise": "masking", "noise_level": 1}, "noise_level must be from 0 to below 1"),
        ({"event_shape": ()}, "event_shape must have at least one axis"),
        ({"event_shape": 5}, r"encoder must take \(batch, 5\), found"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pair([6, 3], **options)


def test_networks_that_do_not_fit() -> None:
    def model(encoder: nn.Module, decoder: nn.Module) -> Autoencoder:
        return Autoencoder(encoder, decoder, event_shape=6)

    with pytest.raises(TypeError, match="decoder must be a torch module, found str"):
        model(mlp([6, 3]), "decoder")  # pyright: ignore
    with pytest.raises(ValueError, match=r"decoder must take \(batch, 3\), found"):
        model(mlp([6, 3]), mlp([4, 6]))
    with pytest.raises(ValueError, match=r"decoder must return rows \(2, 6\) .* found \(2, 5\)"):
        model(mlp([6, 3]), mlp([3, 5]))
    with pytest.raises(ValueError, match=r"encoder must return \(2, \*code\) .* found \(12,\)"):
        model(nn.Flatten(0), mlp([3, 6]))
    with pytest.raises(ValueError, match="encoder must return a tensor, found tuple"):
        model(nn.LSTM(6, 3), mlp([3, 6]))
    normalised = mlp([6, 4, 3], batch_norm=True)
    with pytest.raises(ValueError, match='penalty="contractive" needs an encoder'):
        Autoencoder(normalised, mlp([3, 6]), "contractive")
    assert model(normalised, mlp([3, 6])).code_shape == (3,)
    assert not normalised.layers[1].num_batches_tracked  # pyright: ignore


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (torch.zeros(3, 5), r"x must be \(batch, 6\) and not empty, found \(3, 5\)"),
        (torch.zeros(0, 6), "and not empty"),
        ([[0.0, 1, 2, 3, 4, float("nan")]], "x must not hold NaN"),
        ([[0.0, 1, 2, 3, 4, float("inf")]], "x must be finite"),
    ],
)
def test_rows_that_make_no_sense(rows: Any, message: str) -> None:
    model = pair([6, 3], event_shape=6)
    for method in (model.fit, model.encode, model.errors, model.vary, model.score):
        with pytest.raises(ValueError, match=message):
            method(rows)
    with pytest.raises(ValueError, match=r"codes must be \(batch, 3\)"):
        model.decode(torch.zeros(2, 4))


def test_bad_learning_leaves_the_model_alone() -> None:
    model = pair([6, 3], loss="bernoulli")
    with pytest.raises(ValueError, match="x must be from 0 to 1 for bits, found numbers from -"):
        model.fit(correlated(10))
    with pytest.raises(ValueError, match="epochs must be at least 1"):
        model.fit(torch.zeros(3, 6), epochs=0)
    with pytest.raises(ValueError, match="encoder must take"):
        model.fit(torch.zeros(3, 4))
    with pytest.raises(ValueError, match=r"validation must be \(batch, 6\)"):
        model.fit(torch.zeros(3, 6), validation=torch.zeros(3, 5))
    with pytest.raises(TypeError, match="callbacks must hold"):
        model.fit(torch.zeros(3, 6), callbacks=[len])
    nothing = Autoencoder(nn.Identity(), nn.Identity())
    with pytest.raises(ValueError, match="no parameters to learn"):
        nothing.fit(torch.zeros(3, 6), progress=False)
    assert model.event_shape is None and nothing.event_shape is None


def test_learning_that_stops_on_the_way_keeps_the_shapes() -> None:
    class Stop(Callback):
        def after_epoch(self, model: nn.Module, figures: dict[str, Any]) -> bool:
            raise RuntimeError("stopped")

    model = pair([6, 3])
    with pytest.raises(RuntimeError, match="stopped"):
        model.fit(correlated(10), epochs=2, callbacks=[Stop()], generator=0, progress=False)
    assert model.event_shape == (6,)
