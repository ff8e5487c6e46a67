"""Which latent numbers say something of the data, and which have collapsed to the prior.

.. math:: A_j = \\operatorname{Var}_x\\bigl(\\mathbb{E}_{q(z_j \\mid x)}[z_j]\\bigr) > 0.01
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from generative.vae.prior import Code, Prior

__all__ = ["CollapseReport", "activity", "collapse_report", "kl_by_number"]


class CollapseReport(NamedTuple):
    """What each latent number says of the data, (latent_dim,) each.

    Arguments:
        kl: mean divergence from the prior, nats; None for priors that do not part by number.
        activity: variance over the rows of the posterior mean.
        active: whether that is above the threshold.
    """

    kl: Tensor | None
    activity: Tensor
    active: Tensor


def activity(code: Code) -> Tensor:
    """Variance over the rows of the posterior means, (latent_dim,).

    .. math:: A_j = \\operatorname{Var}_x(\\mu_j(x))

    Reference:
        Burda, Grosse & Salakhutdinov 2016, "Importance weighted autoencoders", section 5.

    Example:
        >>> import torch
        >>> mean = torch.tensor([[-1.0, 0.0], [1.0, 0.0]])
        >>> activity(Code(mean, mean)).tolist()
        [1.0, 0.0]
    """
    return code.mean.var(0, correction=0)


def collapse_report(prior: Prior, code: Code, threshold: float) -> CollapseReport:
    """The report for rows with these posteriors.

    Raises:
        ValueError: a threshold that is no number from 0.
    """
    if not threshold >= 0:
        raise ValueError(f"threshold must be at least 0, found {threshold}")
    by_number = prior.divergence(code)
    found = activity(code)
    return CollapseReport(
        None if by_number is None else by_number.mean(0), found, found > threshold
    )


def kl_by_number(prior: Prior, code: Code) -> Tensor:
    """Divergence of posteriors from the prior by latent number, (n, latent_dim), nats.

    Raises:
        ValueError: a prior that does not part by number.
    """
    found = prior.divergence(code)
    if found is None:
        raise ValueError(
            f"the divergence from a {type(prior).__name__} does not part by latent number; "
            "active_units says which of them are used"
        )
    return found
