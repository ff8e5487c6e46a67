"""Shapes of results, rows one by one and together, and kinds of input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.contract.case import Case, detached, needs, same


def converted(rows: tuple[Any, ...], convert: Callable[[Tensor], Any]) -> tuple[Any, ...]:
    """The rows with every tensor converted."""
    return tuple(convert(part) if isinstance(part, Tensor) else part for part in rows)


@needs("values")
def test_there_is_one_number_per_row(case: Case) -> None:
    model = case.make()
    for method in case.values:
        found = case.ask(model, method)
        assert found.shape == (case.length,), method
        assert not found.is_floating_point() or not found.isnan().any(), method


def test_rows_together_are_as_one_by_one(case: Case) -> None:
    model = case.make()
    singles = [tuple(part[i : i + 1] for part in case.rows) for i in range(case.length)]
    for method in (*case.values, *case.maps):
        together = case.ask(model, method)
        alone = [case.ask(model, method, row) for row in singles]
        joined = (
            torch.cat(alone) if isinstance(together, Tensor) else [a for b in alone for a in b]
        )
        assert same(joined, together), method


@needs("scored_by_log_prob")
def test_score_is_the_mean(case: Case) -> None:
    model = case.make()
    if case.score is None:
        found, expected = model.score(*case.rows), case.ask(model, "log_prob").mean()
    else:
        found, expected = case.score(model)
    assert isinstance(found, float) or found.shape == ()
    assert float(found) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize(
    "convert",
    [
        pytest.param(lambda x: x.numpy(), id="numpy"),
        pytest.param(lambda x: x.tolist(), id="list"),
        pytest.param(lambda x: np.asfortranarray(x.numpy()), id="fortran"),
        pytest.param(lambda x: torch.stack([x, x], -1)[..., 0], id="strided"),
        pytest.param(
            lambda x: x.clone().requires_grad_() if x.is_floating_point() else x, id="grad"
        ),
    ],
)
def test_rows_may_be_of_any_kind(case: Case, convert: Callable[[Tensor], Any]) -> None:
    model = case.make()
    rows = converted(case.rows, convert)
    for method in (*case.values, *case.maps):
        assert same(case.ask(model, method, rows), case.ask(model, method)), method


@needs("columns")
def test_rows_may_be_a_data_frame(case: Case) -> None:
    pandas = pytest.importorskip("pandas")
    model = case.make()
    frame = pandas.DataFrame(case.rows[0].numpy(), columns=list(case.columns))
    for method in (*case.values, *case.maps):
        expected = case.ask(model, method)
        assert same(case.ask(model, method, (frame,)), expected), method
        turned = frame[frame.columns[::-1]]
        assert same(case.ask(model, method, (turned,)), expected), "columns are found by name"


def test_questions_change_neither_model_nor_rows(case: Case) -> None:
    model = case.make()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    rows = converted(case.rows, torch.clone)
    first = case.answers(model)
    assert same(list(converted(case.rows, detached)), list(rows), exact=True)
    assert same(dict(model.state_dict()), state, exact=True)
    assert same(case.answers(model), first, exact=True)


def test_questions_work_without_gradients(case: Case) -> None:
    model = case.make()
    with torch.no_grad():
        inside = case.answers(model)
    assert same(inside, case.answers(case.make()))


def test_questions_work_in_inference_mode(case: Case) -> None:
    model = case.make()
    with torch.inference_mode():
        inside = case.answers(model)
    assert same(inside, case.answers(case.make()))


def test_models_made_in_inference_mode_work_there(case: Case) -> None:
    with torch.inference_mode():
        inside = case.answers(case.make())
    assert same(inside, case.answers(case.make()))


def test_numbers_changed_in_place_count(case: Case) -> None:
    asked, untouched = case.make(), case.make()
    before = case.answers(asked)
    case.change(asked)
    case.change(untouched)
    after = case.answers(asked)
    assert same(after, case.answers(untouched), exact=True)
    assert any(not same(after[method], before[method]) for method in before)


@needs("missing")
def test_missing_entries_are_summed_out_or_refused(case: Case) -> None:
    model, row = case.make(), case.rows[0][:3].clone()
    absent = -1 if not row.is_floating_point() else torch.nan
    row[:, 0] = absent
    if case.missing == "refused":
        with pytest.raises(ValueError, match=r"NaN|nan|missing|finite|-1"):
            case.ask(model, case.values[0], (row, *(part[:3] for part in case.rows[1:])))
        return
    found = case.ask(model, case.values[0], (row,))
    assert found.isfinite().all()
    if absent == -1:
        full = [torch.cat([row[:, :0], torch.full((3, 1), k), row[:, 1:]], 1) for k in (0, 1)]
        total = torch.stack([case.ask(model, case.values[0], (rows,)) for rows in full])
        assert same(found, total.logsumexp(0))
        return
    grid = torch.linspace(-12, 16, 2801, dtype=row.dtype)
    for i, value in enumerate(found):
        rows = row[i].repeat(len(grid), 1)
        rows[:, 0] = grid
        density = case.ask(model, case.values[0], (rows,)).exp()
        assert float(torch.trapezoid(density, grid).log()) == pytest.approx(float(value), abs=1e-6)
