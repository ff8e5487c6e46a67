"""Every public model has an entry, and what an entry says of it is true."""

from __future__ import annotations

import inspect

import energy
import generative
import pgm
from inference.model import Model
from tests.contract.case import Case
from tests.contract.cases import CASES

VOCABULARY = ("fit", "log_prob", "energy", "sample", "score")


def public_models() -> set[type[Model]]:
    """What the packages export, abstract bases left out."""
    exported = [getattr(part, name) for part in (pgm, energy, generative) for name in part.__all__]
    return {
        found
        for found in exported
        if inspect.isclass(found) and issubclass(found, Model) and not inspect.isabstract(found)
    }


def test_every_public_model_has_an_entry() -> None:
    entries = {case.cls for case in CASES}
    assert not public_models() - entries, "add a Case to tests/contract for the new model"
    assert not entries - public_models(), "an entry is no public model"


def test_names_are_distinct() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)


def test_vocabulary_is_there_or_its_absence_has_a_reason(case: Case) -> None:
    others = [other for other in CASES if other.cls is case.cls]
    without = {name: reason for other in others for name, reason in other.without.items()}
    for name in VOCABULARY:
        assert hasattr(case.cls, name) != (name in without), name
    values = {name for other in others for name in other.values}
    assert {name for name in ("log_prob", "energy") if name not in without} <= values
    assert any(other.learn is not None for other in others) == ("fit" not in without)
    assert any(other.draw is not None for other in others) == ("sample" not in without)


def test_model_is_what_the_entry_says(case: Case) -> None:
    model = case.make()
    assert type(model) is case.cls
    assert all(len(argument) == case.length for argument in case.rows)
