"""What users pass by mistake is refused by the library, not by what it is built on."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.contract.case import Case, needs, same

PACKAGES = ("energy", "generative", "inference", "pgm")


def refusal(call: Callable[[], Any], root: Path) -> str:
    """Message of the error that a call ends with, which one of the packages must have raised."""
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    last = traceback.extract_tb(caught.value.__traceback__)[-1]
    raised = Path(last.filename)
    assert (last.line or "").startswith("raise"), f"{last.line} ended with {caught.value}"
    assert raised.is_relative_to(root), f"raised in {raised}: {caught.value}"
    assert raised.relative_to(root).parts[0] in PACKAGES
    return str(caught.value)


def methods(case: Case) -> tuple[str, ...]:
    return (*case.values, *case.maps)


@needs("matrix")
def test_a_column_too_many_is_refused(case: Case, root: Path) -> None:
    rows = case.rows[0]
    wide = torch.cat([rows, rows[:, :1]], 1)
    model = case.make()
    for method in methods(case):
        found = refusal(lambda m=method: case.ask(model, m, (wide, *case.rows[1:])), root)
        assert str(wide.shape[1]) in found, (method, found)


@needs("matrix")
def test_a_single_row_without_its_axis_is_itself_or_refused(case: Case, root: Path) -> None:
    model, row = case.make(), tuple(part[0] for part in case.rows)
    for method in methods(case):
        try:
            found = case.ask(model, method, row)
        except (TypeError, ValueError):
            refusal(lambda m=method: case.ask(model, m, row), root)
        else:
            assert same(found, case.ask(model, method)[0]), method


@needs("matrix")
@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(lambda x: np.array([["x"] * x.shape[1]]), id="strings"),
        pytest.param(lambda x: x[:2].to(torch.complex128), id="complex"),
        pytest.param(lambda x: None, id="none"),
        pytest.param(lambda x: 3, id="number"),
        pytest.param(lambda x: [[1.0, 2.0], [3.0]], id="ragged"),
        pytest.param(lambda x: object(), id="object"),
    ],
)
def test_what_is_no_matrix_of_numbers_is_refused(
    case: Case, wrong: Callable[[Tensor], Any], root: Path
) -> None:
    rows, model = case.rows[0], case.make()
    for method in methods(case):
        refusal(
            lambda m=method: case.ask(model, m, (wrong(rows), *(y[:2] for y in case.rows[1:]))),
            root,
        )


@needs("real_matrix")
def test_infinite_numbers_are_refused_or_impossible(case: Case, root: Path) -> None:
    rows, model = case.rows[0].clone(), case.make()
    rows[0, 0] = torch.inf
    for method in methods(case):
        refusal(lambda m=method: case.ask(model, m, (rows, *case.rows[1:])), root)


@needs("coded_matrix")
@pytest.mark.parametrize("value", [2, -2])
def test_codes_out_of_range_are_refused(case: Case, value: int, root: Path) -> None:
    rows, model = case.rows[0].clone(), case.make()
    rows[0, 0] = value
    for method in methods(case):
        found = refusal(lambda m=method: case.ask(model, m, (rows, *case.rows[1:])), root)
        assert str(value) in found, (method, found)


@needs("scored")
def test_no_rows_have_no_mean(case: Case, root: Path) -> None:
    model, rows = case.make(), case.judged or case.rows
    refusal(lambda: model.score(*(part[:0] for part in rows)), root)


def test_no_rows_give_no_results_or_are_refused(case: Case, root: Path) -> None:
    model = case.make()
    for method in methods(case):
        try:
            found = case.ask(model, method, tuple(part[:0] for part in case.rows))
        except (TypeError, ValueError):
            refusal(lambda m=method: case.ask(model, m, tuple(p[:0] for p in case.rows)), root)
        else:
            assert len(found) == 0, method


@needs("draw")
@pytest.mark.parametrize("n", [-1, 1.5, "3", None])
def test_a_wrong_number_of_draws_is_refused(case: Case, n: Any, root: Path) -> None:
    model = case.make()
    assert "n" in refusal(lambda: case.draw(model, n, 3), root).split()


def refuses_to_learn(case: Case, wrong: Any, root: Path) -> None:
    """Data are refused, and the model is left as it was."""
    model = case.make()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    refusal(lambda: case.fit_rows(model, wrong), root)
    after = model.state_dict()
    assert all(
        torch.equal(value.nan_to_num(), after[name].nan_to_num()) for name, value in before.items()
    )


@needs("learns_rows")
@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(lambda x: x[:0], id="empty"),
        pytest.param(lambda x: np.array([["x"] * x.shape[1]] * len(x)), id="strings"),
        pytest.param(lambda x: x[0], id="row"),
    ],
)
def test_data_that_teach_nothing_are_refused(
    case: Case, wrong: Callable[[Tensor], Any], root: Path
) -> None:
    refuses_to_learn(case, wrong(case.rows[0]), root)


@needs("learns_rows", "real_matrix")
def test_data_that_are_missing_altogether_are_refused(case: Case, root: Path) -> None:
    refuses_to_learn(case, torch.full_like(case.rows[0], torch.nan), root)


@needs("unfitted")
def test_models_without_numbers_say_so(case: Case, root: Path) -> None:
    model = case.unfitted()
    for method in methods(case):
        assert "fit" in refusal(lambda m=method: case.ask(model, m), root), method
    if case.draw is not None:
        assert "fit" in refusal(lambda: case.draw(model, 4, 3), root)
