"""Every test with an argument ``case`` runs once for every model."""

from __future__ import annotations

import pytest

from tests.contract.cases import CASES


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give ``case`` its values; a test that a model is excused from must fail."""
    if "case" not in metafunc.fixturenames:
        return
    test = metafunc.definition.originalname
    needs = getattr(metafunc.function, "needs", ())
    cases = []
    for case in CASES:
        if any(not getattr(case, name) for name in needs):
            continue
        reason = case.excused.get(test)
        marks = [pytest.mark.xfail(reason=reason, strict=True)] if reason else []
        cases.append(pytest.param(case, id=case.name, marks=marks))
    metafunc.parametrize("case", cases)
