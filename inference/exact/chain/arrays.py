"""Arguments of a chain as working arrays: checked, and of one kind."""

from __future__ import annotations

from typing import Any

from inference.arrays import Array, namespace, to_working
from inference.exact.chain.layout import ChainLayout
from inference.exact.chain.potentials import ChainPotentials

__all__ = ["FEWER", "check_chain"]


#: What to do where a batch of sequences does not fit.
FEWER = "pass fewer sequences at a time"


def check_chain(
    potentials: ChainPotentials,
    log_emissions: Array,
    layout: ChainLayout,
    *,
    symbols: bool = False,
) -> tuple[ChainPotentials, Any]:
    """Working copies of potentials (with an end) and log emissions, whose shapes fit.

    Arguments:
        potentials: as given.
        log_emissions: as given.
        layout: of the sequences.
        symbols: whether the log emissions are those of any number of symbols, not of all tokens.

    Raises:
        ValueError: if the log emissions are not (n_states, n_tokens) or not floating-point.
    """
    expected = (potentials.n_states, log_emissions.shape[-1] if symbols else layout.n_tokens)
    if tuple(log_emissions.shape) != expected:
        raise ValueError(
            f"log_emissions must be (n_states, n_tokens) = {expected} in packed order, found "
            f"{tuple(log_emissions.shape)}"
        )
    working = to_working(log_emissions)
    xp = namespace(working)
    if working.dtype not in (xp.float32, xp.float64):
        raise ValueError(
            f"log_emissions must be float32 or float64, found {working.dtype}; convert them"
        )
    start = to_working(potentials.log_start, working)
    transitions = to_working(potentials.log_transitions, working)
    end = potentials.log_end
    end = xp.zeros_like(start) if end is None else to_working(end, working)
    return ChainPotentials(start, transitions, end), working
