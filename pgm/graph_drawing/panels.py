"""What the pictures of Bayesian networks say: bars, percentages, titles, and their sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pgm.bayesian_network import BayesianNetwork

__all__ = [
    "Bar",
    "Panel",
    "label_width",
    "make_panels",
    "node_size",
    "observed_kinds",
    "percent",
    "text_width",
    "title_for",
]

# Inches at scale one.
PAD, HEADER, ROW, MARK = 0.09, 0.24, 0.155, 0.17
BAR_LENGTH, BAR_HEIGHT, BAR_SPACE = 0.78, 0.095, 0.06

# Points at scale one.
NAME_POINTS, ROW_POINTS, TITLE_POINTS = 9.5, 7.5, 11.0

MOST_ROWS = 6
LONGEST_LABEL = 16


@dataclass(frozen=True)
class Bar:
    """A state with its probabilities, or (``code`` None) the states left out, taken together."""

    label: str
    code: int | None
    posterior: float
    prior: float

    @property
    def gid(self) -> str:
        """Last part of the bar's id."""
        return "rest" if self.code is None else str(self.code)

    @property
    def moved(self) -> bool:
        """Whether the evidence changed it by more than rounding."""
        return abs(self.posterior - self.prior) > 1e-9


@dataclass(frozen=True)
class Panel:
    """What a node shows: its bars and whether it is observed ("", "hard" or "soft")."""

    bars: list[Bar]
    observed: str


def observed_kinds(network: BayesianNetwork, evidence: Mapping[str, Any] | None) -> dict[str, str]:
    """Observed variables, each "hard" (a state) or "soft" (a likelihood)."""
    given = network.vocabulary.evidence(evidence)
    if given.rows is not None:
        raise ValueError(f"evidence must be one query, found a batch of {given.rows}; plot a row")
    names = network.variables
    return {names[v]: "hard" for v in given.states} | {names[v]: "soft" for v in given.weights}


def make_panels(
    network: BayesianNetwork, evidence: Mapping[str, Any], variables: Sequence[str]
) -> dict[str, Panel]:
    """Posteriors and priors of the variables."""
    observed = observed_kinds(network, evidence)
    posteriors = network.marginals(evidence, variables)
    priors = network.marginals(None, variables) if observed else posteriors
    panels = {}
    for name in variables:
        p, q = (m[name].detach().cpu().double().numpy() for m in (posteriors, priors))
        panels[name] = Panel(_bars(network.states[name], p, q), observed.get(name, ""))
    return panels


def _bars(labels: Sequence[object], posterior: np.ndarray, prior: np.ndarray) -> list[Bar]:
    """A bar per state; of many states the likeliest, in their order, and one for the others."""
    kept = np.arange(len(posterior))
    if len(posterior) > MOST_ROWS:
        kept = np.sort(np.argsort(-posterior, kind="stable")[: MOST_ROWS - 1])
    bars = [
        Bar(_shorten(str(labels[code])), code, float(posterior[code]), float(prior[code]))
        for code in kept.tolist()
    ]
    if left_out := len(posterior) - len(kept):
        rest = float(np.delete(posterior, kept).sum()), float(np.delete(prior, kept).sum())
        bars.append(Bar(f"... {left_out} more", None, *rest))
    return bars


def _shorten(label: str) -> str:
    return label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 1] + "\u2026"


def percent(p: float) -> str:
    """Percent with one decimal; only certainty (up to rounding) reads 0 % or 100 %."""
    if p <= 0.0 or p >= 1.0 - 1e-12:
        return "100 %" if p > 0.5 else "0 %"
    return "<0.1 %" if p < 5e-4 else ">99.9 %" if p >= 0.9995 else f"{100 * p:.1f} %"


def title_for(network: BayesianNetwork, evidence: Mapping[str, Any] | None, width: float) -> str:
    """One line that fits the width in inches."""
    if evidence is None:
        return f"{len(network.variables)} variables, {len(network.edges)} edges"
    given = observed_kinds(network, evidence)
    if not given:
        return "Prior marginals"
    items = [
        f"{name} = {_state(network, name, evidence[name])}" if kind == "hard" else f"soft {name}"
        for name, kind in given.items()
    ]
    for shown in range(min(len(items), 40), -1, -1):
        more = [f"... ({len(items)} observed)"] if shown < len(items) else []
        title = "Posteriors given " + ", ".join([*items[:shown], *more])
        if text_width(title, TITLE_POINTS) < width - 0.1 or not shown:
            return title
    return ""


def _state(network: BayesianNetwork, name: str, value: Any) -> object:
    """Label of a hard state in any spelling."""
    number = network.vocabulary.number(name)
    code = network.vocabulary.evidence({name: value}).states[number]
    return network.vocabulary.label(number, int(code))


def text_width(text: str, points: float, weight: str = "normal") -> float:
    """Width in inches, without a renderer; a little more, as screens fit letters to pixels."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=points, weight=weight)
    return 1.04 * text_to_path.get_text_width_height_descent(text, font, ismath=False)[0] / 72.0


def node_size(name: str, panel: Panel | None) -> tuple[float, float]:
    """Width and height of a node at scale one."""
    if panel is None:
        return text_width(name, NAME_POINTS) + 3.2 * PAD, 0.34
    header = text_width(name, NAME_POINTS, "bold") + (2 * MARK if panel.observed else 0.0)
    row = label_width(panel) + 2 * BAR_SPACE + BAR_LENGTH + text_width(">99.9 %", ROW_POINTS)
    return max(header, row) + 2 * PAD, HEADER + ROW * len(panel.bars) + 0.6 * PAD


def label_width(panel: Panel) -> float:
    """Width of the widest state label in inches at scale one."""
    return max([text_width(bar.label, ROW_POINTS) for bar in panel.bars])
