"""What fit does: itself, history, seeds, gradients; and what it leaves alone."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch

from inference.model import Model
from tests.contract.case import Case, detached, needs, same

pytestmark = pytest.mark.filterwarnings("ignore::inference.convergence.ConvergenceWarning")


def state(model: Model) -> dict[str, Any]:
    """Copies of parameters and buffers."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


@needs("learn")
def test_fit_returns_the_model_and_fills_history(case: Case) -> None:
    model = case.make()
    assert case.learn(model, 3) is model
    assert isinstance(model.history, list)
    assert model.history
    assert all(isinstance(record, dict) and record for record in model.history)
    assert all(isinstance(name, str) for record in model.history for name in record)
    earlier = list(model.history)
    case.learn(model, 3)
    assert model.history is not earlier
    assert len(model.history) < len(earlier) * 2 or len(earlier) == 1, "history is of the last fit"


@needs("networks")
def test_fit_leaves_networks_in_evaluation(case: Case) -> None:
    model = case.make()
    assert not case.learn(model.train(), 3).training


@needs("learn")
def test_same_seed_same_fit(case: Case) -> None:
    first = case.learn(case.make(), 3)
    for generator in (np.int64(3), torch.Generator().manual_seed(3)):
        assert same(state(case.learn(case.make(), generator)), state(first), exact=True)


@needs("learn")
def test_other_seed_other_fit(case: Case) -> None:
    first, second = (state(case.learn(case.make(), seed)) for seed in (3, 4))
    assert not same(first, second, exact=True)


@needs("draw")
def test_same_seed_same_draws(case: Case) -> None:
    model = case.make()
    first = detached(case.draw(model, 20, 3))
    for generator in (3, np.int64(3), torch.Generator().manual_seed(3)):
        assert same(detached(case.draw(model, 20, generator)), first, exact=True)
    assert not same(detached(case.draw(model, 20, 4)), first, exact=True)
    assert not same(detached(case.draw(model, 20, None)), first, exact=True)


@needs("draw")
def test_generator_advances(case: Case) -> None:
    model, generator = case.make(), torch.Generator().manual_seed(3)
    first = detached(case.draw(model, 20, generator))
    assert not same(detached(case.draw(model, 20, generator)), first, exact=True)


@needs("draw")
def test_draws_have_the_shape_of_events_and_no_gradient(case: Case) -> None:
    for n in (1, 4):
        found = case.draw(case.make(), n, 3)
        assert found.shape == (n, *case.event)
        assert not found.requires_grad


@needs("draw")
def test_no_draws_are_an_empty_tensor_or_refused(case: Case) -> None:
    try:
        found = case.draw(case.make(), 0, 3)
    except ValueError as error:
        assert "n must be at least 1" in str(error)
    else:
        assert found.shape == (0, *case.event)


@needs("draw")
@pytest.mark.parametrize("generator", ["3", 1.5, True, -1])
def test_wrong_generator_is_refused(case: Case, generator: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"generator|seed"):
        case.draw(case.make(), 4, generator)


@pytest.mark.parametrize("seed", [3, None])
def test_global_random_state_is_not_touched(case: Case, seed: int | None) -> None:
    torch.manual_seed(7)
    np.random.seed(7)  # noqa: NPY002
    random.seed(7)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    model = case.make()
    case.answers(model)
    if case.draw is not None:
        case.draw(model, 4, seed)
    if case.learn is not None:
        case.learn(model, seed)
    after = torch.get_rng_state(), np.random.get_state()[1], random.getstate()  # noqa: NPY002
    assert torch.equal(before[0], after[0])
    assert np.array_equal(before[1], after[1])
    assert before[2] == after[2]


@needs("derivable")
def test_gradients_reach_every_parameter(case: Case) -> None:
    model = case.make().requires_grad_()
    if case.loss is not None:
        loss = case.loss(model)
    else:
        options = case.options.get(case.values[0], {})
        loss = getattr(model, case.values[0])(*case.rows, **options).square().sum()
    loss.backward()
    for name, parameter in model.named_parameters():
        if name.startswith(case.apart or ("none",)):
            assert parameter.grad is None, name
            continue
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name
