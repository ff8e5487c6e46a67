"""What both sides of a game are told besides: features of conditions, drawn if they are random.

.. math:: G(z, \\hat c), \\quad D(x, \\hat c), \\qquad \\hat c = \\phi(c) \\text{ or }
          \\hat c \\sim q(\\hat c \\mid c)
"""

from __future__ import annotations

import torch
from torch import Tensor

from generative.condition import Condition
from generative.gan.conditioning_augmentation import ConditioningAugmentation

__all__ = ["divergence_of", "features_of", "known_features"]


def features_of(
    condition: Condition, read: Tensor | None, like: Tensor, source: torch.Generator
) -> Tensor | None:
    """Features (n, features) of conditions that have been read, or None where there are none.

    Arguments:
        condition: makes them.
        read: what it read.
        like: of the type of the networks.
        source: of the draws of a ``ConditioningAugmentation``.

    Example:
        >>> labels, like = Condition(3), torch.zeros(1)
        >>> features_of(labels, labels.read([2], 1, like), like, torch.Generator())
        tensor([[0., 0., 1.]])
    """
    if read is not None and isinstance(condition.network, ConditioningAugmentation):
        return condition.network(read.to(like), source)
    return condition(read, like)


def known_features(condition: Condition) -> int | None:
    """How many features there are; None where that is not known before they are made.

    Example:
        >>> known_features(Condition(3)), known_features(Condition(None))
        (3, 0)
    """
    network = condition.network
    if network is None:
        return condition.n_labels or 0
    return network.n_out if isinstance(network, ConditioningAugmentation) else None


def divergence_of(condition: Condition, read: Tensor | None, like: Tensor) -> Tensor | None:
    """Mean divergence, (), nats, of a ``ConditioningAugmentation``; None for others.

    Example:
        >>> augmentation = Condition(ConditioningAugmentation(2, 1))
        >>> bool(divergence_of(augmentation, torch.eye(2), torch.zeros(1)) > 0)
        True
    """
    if read is None or not isinstance(condition.network, ConditioningAugmentation):
        return None
    return condition.network.divergence(read.to(like)).mean()
