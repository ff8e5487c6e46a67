"""Log-probability of rows under a Bayesian network, complete ones by look-ups, others exactly.

.. math:: \\log p(x) = \\sum_v \\log p(x_v \\mid x_{\\pi(v)}), \\qquad
          \\log p(x_s) = \\log \\sum_{x_m} p(x_s, x_m)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from inference.exact.evidence import Evidence
from inference.exact.likelihood import complete_log_prob
from inference.exact.structure import Structure
from inference.logspace import safe_log
from pgm.discrete_data import DiscreteData

if TYPE_CHECKING:
    from pgm.bayesian_network import BayesianNetwork

__all__ = ["row_log_prob"]


def row_log_prob(network: BayesianNetwork, structure: Structure, rows: DiscreteData) -> Tensor:
    """Log-probability of every row, (n,) nats, with gradients to ``values`` if they are asked for.

    Arguments:
        network: the tables.
        structure: their scopes.
        rows: under the network's vocabulary.
    """
    logs = safe_log(network.values.double())
    gaps = [column < 0 for column, gap in zip(rows.columns, rows.gaps, strict=True) if gap]
    if not gaps:
        return _complete(network, structure, rows, logs)
    complete = ~np.logical_or.reduce(gaps)
    result = logs.new_empty(rows.n_rows)
    result[torch.from_numpy(complete)] = _complete(network, structure, rows.take(complete), logs)
    rest = rows.take(~complete)
    evidence = Evidence(dict(enumerate(rest.columns)), {}, rest.n_rows)
    result[torch.from_numpy(~complete)] = network.log_evidence_of(evidence)
    return result


def _complete(
    network: BayesianNetwork, structure: Structure, rows: DiscreteData, logs: Tensor
) -> Tensor:
    """Sums of look-ups for rows without gaps."""
    if logs.requires_grad:
        return complete_log_prob(structure, logs, rows.codes())
    return torch.from_numpy(network.families.log_prob(rows, logs.cpu().numpy())).to(logs.device)
