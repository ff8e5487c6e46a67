"""Information theory of finite distributions, and of torch distributions with closed forms.

.. math:: H(p) = -\\sum_i p_i \\log p_i, \\qquad D(p \\| q) = \\sum_i p_i \\log \\frac{p_i}{q_i}

Conventions (Cover & Thomas 2006, section 2.3): 0 log 0 = 0, and a divergence is infinite if and
only if p > 0 somewhere q = 0. Gradients are finite wherever the value is; the derivative of
p log p at a hard zero is taken as zero. Values are in nats unless ``base`` says otherwise
(``base=2``: bits). Tensors, arrays and lists are accepted; the leading axes are a batch.
"""

from __future__ import annotations

import math
from typing import TypeGuard

import torch
from torch import Tensor
from torch.distributions import Categorical, Distribution
from torch.distributions import kl_divergence as registered_kl

from inference.inputs import Values, as_tensors, check_distribution, log_base, tolerance
from inference.logspace import safe_log

__all__ = [
    "conditional_entropy",
    "cross_entropy",
    "entropy",
    "js_divergence",
    "kl_divergence",
    "mutual_information",
    "perplexity",
    "pointwise_mutual_information",
]


def entropy(p: Values | Distribution, base: float = math.e) -> Tensor:
    """Shannon entropy, or differential entropy of a continuous torch distribution.

    .. math:: H(p) = -\\sum_i p_i \\log p_i

    At most log K for K states, reached by the uniform distribution.

    Arguments:
        p: probabilities, or a torch distribution whose entropy torch knows in closed form.
        base: of the logarithm; e gives nats, 2 gives bits.

    Shapes:
        p: (..., K). result: (...).

    Raises:
        ValueError: if ``p`` has negative entries or does not sum to one within 1e-6 (float64) or
            1e-4 (float32), or if ``base`` is not positive or is one.
        TypeError: if ``p`` holds no real numbers or torch knows no closed form.

    Reference:
        Cover & Thomas 2006, eq. 2.1.

    Example:
        >>> entropy([0.5, 0.25, 0.25], base=2)
        tensor(1.5000, dtype=torch.float64)
    """
    unit = log_base(base)
    if _by_closed_form(p):
        return _closed_entropy(p) / unit
    (p,) = _tables(p=p)
    return -_weighted_log(p, p).sum(-1) / unit


def cross_entropy(
    p: Values | Distribution, q: Values | Distribution, base: float = math.e
) -> Tensor:
    """Expected code length under p of a code made for q.

    .. math:: H(p, q) = -\\sum_i p_i \\log q_i = H(p) + D(p \\| q)

    Least at q = p, where it is H(p) and not zero; infinite if p > 0 somewhere q = 0.

    Arguments:
        p: true probabilities, or a torch distribution.
        q: probabilities of the model, or a torch distribution.
        base: of the logarithm; e gives nats, 2 gives bits.

    Shapes:
        p: (..., K). q: (..., K). result: (...), leading axes broadcast.

    Raises:
        ValueError: as ``entropy``, and if the numbers of states differ or the leading axes do not
            broadcast.
        TypeError: as ``entropy``, and if one argument is a table and the other a distribution
            that is no ``Categorical``.

    Reference:
        Cover & Thomas 2006, theorem 5.4.3.

    Example:
        >>> cross_entropy([0.5, 0.5], [0.25, 0.75])
        tensor(0.8370, dtype=torch.float64)
    """
    unit = log_base(base)
    if _by_closed_form(p) and _by_closed_form(q):
        return (_closed_entropy(p) + _closed_kl(p, q)) / unit
    p, q = _tables(p=p, q=q)
    return -_weighted_log(p, q).sum(-1) / unit


def kl_divergence(
    p: Values | Distribution, q: Values | Distribution, base: float = math.e
) -> Tensor:
    """Kullback-Leibler divergence (relative entropy) of q from p.

    .. math:: D(p \\| q) = \\sum_i p_i \\log \\frac{p_i}{q_i}

    Not negative, zero if and only if p = q, infinite if p > 0 somewhere q = 0.

    Arguments:
        p: true probabilities, or a torch distribution.
        q: probabilities of the model, or a torch distribution.
        base: of the logarithm; e gives nats, 2 gives bits.

    Shapes:
        p: (..., K). q: (..., K). result: (...), leading axes broadcast.

    Raises:
        ValueError, TypeError: as ``cross_entropy``.

    Reference:
        Cover & Thomas 2006, eq. 2.26.

    Example:
        >>> kl_divergence([0.5, 0.5], [0.25, 0.75])
        tensor(0.1438, dtype=torch.float64)
        >>> kl_divergence([0.5, 0.5], [1.0, 0.0])
        tensor(inf, dtype=torch.float64)
    """
    unit = log_base(base)
    if _by_closed_form(p) and _by_closed_form(q):
        return _closed_kl(p, q) / unit
    p, q = _tables(p=p, q=q)
    return _divergence(p, q) / unit


def js_divergence(
    p: Values | Distribution, q: Values | Distribution, base: float = math.e
) -> Tensor:
    """Jensen-Shannon divergence, the symmetric and bounded relative of Kullback-Leibler's.

    .. math:: J(p, q) = \\tfrac12 D(p \\| m) + \\tfrac12 D(q \\| m), \\qquad m = \\tfrac12 (p + q)

    Between zero (p = q) and log 2 (disjoint supports).

    Arguments:
        p: probabilities, or a ``Categorical``.
        q: probabilities, or a ``Categorical``.
        base: of the logarithm; e gives nats, 2 gives bits.

    Shapes:
        p: (..., K). q: (..., K). result: (...), leading axes broadcast.

    Raises:
        ValueError: as ``cross_entropy``.
        TypeError: for any other torch distribution, as none has a closed form.

    Reference:
        Lin 1991, "Divergence measures based on the Shannon entropy", eq. 4.1.

    Example:
        >>> js_divergence([1.0, 0.0], [0.0, 1.0], base=2)
        tensor(1., dtype=torch.float64)
    """
    unit = log_base(base)
    p, q = _tables(p=p, q=q)
    # Against the sum, as half of the smallest number is zero.
    total = p + q
    return (_divergence(2 * p, total) + _divergence(2 * q, total)) / (4 * unit)


def mutual_information(joint: Values, base: float = math.e) -> Tensor:
    """What two variables tell about each other.

    .. math:: I(X; Y) = \\sum_{x, y} p(x, y) \\log \\frac{p(x, y)}{p(x)\\, p(y)}
              = H(X) + H(Y) - H(X, Y)

    Not negative, zero if and only if X and Y are independent.

    Arguments:
        joint: probabilities of the pairs.
        base: of the logarithm; e gives nats, 2 gives bits.

    Shapes:
        joint: (..., K, L). result: (...).

    Raises:
        ValueError: if ``joint`` has fewer than two axes, negative entries or a sum that is not one
            within 1e-6 (float64) or 1e-4 (float32), or if ``base`` is not positive or is one.
        TypeError: if ``joint`` holds no real numbers.

    Reference:
        Cover & Thomas 2006, eq. 2.28.

    Example:
        >>> mutual_information([[0.5, 0.0], [0.0, 0.5]], base=2)
        tensor(1., dtype=torch.float64)
    """
    unit = log_base(base)
    joint, rows, columns = _joint(joint)
    terms = _weighted_log(joint, joint) - _weighted_log(joint, rows)
    return (terms - _weighted_log(joint, columns)).sum((-2, -1)) / unit


def pointwise_mutual_information(joint: Values, base: float = math.e) -> Tensor:
    """How much more often each pair occurs than independence would have it.

    .. math:: \\operatorname{pmi}(x, y) = \\log \\frac{p(x, y)}{p(x)\\, p(y)}

    Its expectation is the mutual information. A pair that never occurs gives -inf, with zero
    gradient, also where one of its states never occurs.

    Arguments:
        joint: probabilities of the pairs.
        base: of the logarithm; e gives nats, 2 gives bits.

    Shapes:
        joint: (..., K, L). result: (..., K, L).

    Raises:
        ValueError, TypeError: as ``mutual_information``.

    Reference:
        Church & Hanks 1990, "Word association norms, mutual information, and lexicography",
        Computational Linguistics 16, 22 (the definition is on p. 23).

    Example:
        >>> pointwise_mutual_information([[0.5, 0.0], [0.25, 0.25]], base=2)
        tensor([[ 0.4150,    -inf],
                [-0.5850,  1.0000]], dtype=torch.float64)
    """
    unit = log_base(base)
    joint, rows, columns = _joint(joint)
    ratio = safe_log(joint) - safe_log(rows) - safe_log(columns)
    return ratio.masked_fill(joint == 0, -math.inf) / unit


def conditional_entropy(joint: Values, given: int, base: float = math.e) -> Tensor:
    """Uncertainty left in one variable once the other is known.

    .. math:: H(Y \\mid X) = -\\sum_{x, y} p(x, y) \\log p(y \\mid x) = H(X, Y) - H(X)

    Arguments:
        joint: probabilities of the pairs.
        given: the known variable: 0 if the rows run over its states, 1 if the columns do.
        base: of the logarithm; e gives nats, 2 gives bits.

    Shapes:
        joint: (..., K, L), rows and columns last. result: (...).

    Raises:
        ValueError: as ``mutual_information``, and if ``given`` is neither 0 nor 1.
        TypeError: as ``mutual_information``.

    Reference:
        Cover & Thomas 2006, eq. 2.10 to 2.13.

    Example:
        >>> conditional_entropy([[0.5, 0.0], [0.25, 0.25]], given=0, base=2)
        tensor(0.5000, dtype=torch.float64)
    """
    if given not in (0, 1):
        raise ValueError(f"given must be 0 (rows) or 1 (columns), found {given!r}")
    unit = log_base(base)
    joint, *marginals = _joint(joint)
    terms = _weighted_log(joint, marginals[given]) - _weighted_log(joint, joint)
    return terms.sum((-2, -1)) / unit


def perplexity(log_probs: Values, base: float = math.e) -> Tensor:
    """Effective number of equally likely choices a model leaves open per observation.

    .. math:: b^{-\\frac1n \\sum_t \\log_b p(x_t \\mid \\dots)}

    One for a perfect model, K for a uniform guess among K, infinite if an observed event had
    probability zero.

    Arguments:
        log_probs: logarithms of the probabilities the model gave to what was observed.
        base: of those logarithms. The result does not depend on the base as long as it is theirs.

    Shapes:
        log_probs: (..., n). result: (...).

    Raises:
        ValueError: if ``log_probs`` is empty or holds the logarithm of more than one, or if
            ``base`` is not positive or is one.
        TypeError: if ``log_probs`` holds no real numbers.

    Reference:
        Manning & Schuetze 1999, "Foundations of statistical natural language processing",
        section 2.2.8.

    Example:
        >>> perplexity([math.log(0.25), math.log(0.25)])
        tensor(4., dtype=torch.float64)
    """
    (log_probs,) = as_tensors(log_probs=log_probs)
    if log_probs.ndim == 0 or log_probs.shape[-1] == 0:
        raise ValueError(f"log_probs must be (..., n) with n > 0, found {tuple(log_probs.shape)}")
    nats = log_probs * log_base(base)
    if (above := nats > tolerance(nats.dtype)).any():
        raise ValueError(
            f"log_probs must be logarithms of at most one to the base {base:g}, "
            f"found {log_probs[above][0].item():g}; pass the logarithms of the probabilities, "
            "not their negatives or the probabilities"
        )
    return torch.exp(-nats.mean(-1))


def _by_closed_form(p: Values | Distribution) -> TypeGuard[Distribution]:
    """Whether torch's formulas are needed; a Categorical is read as the table of its probs."""
    return isinstance(p, Distribution) and not isinstance(p, Categorical)


def _closed_entropy(p: Distribution) -> Tensor:
    """Entropy by torch's formula, nats."""
    try:
        return p.entropy()
    except NotImplementedError:
        raise TypeError(
            f"p is a {type(p).__name__}, whose entropy has no closed form; "
            "estimate it by the mean of -p.log_prob over samples"
        ) from None


def _closed_kl(p: Distribution, q: Distribution) -> Tensor:
    """Divergence by the formula registered with torch, nats."""
    try:
        return registered_kl(p, q)
    except NotImplementedError:
        raise TypeError(
            f"p is a {type(p).__name__} and q a {type(q).__name__}, whose divergence has no "
            "closed form; estimate it by the mean of p.log_prob - q.log_prob over samples of p"
        ) from None


def _tables(**given: Values | Distribution) -> list[Tensor]:
    """Checked tables of probabilities with the same number of states."""
    values: dict[str, Values] = {}
    for name, value in given.items():
        if isinstance(value, Categorical):
            values[name] = value.probs
        elif isinstance(value, Distribution):
            raise TypeError(
                f"{name} is a {type(value).__name__}, which has no table of probabilities; pass "
                "tables or Categorical distributions, or estimate the value from samples"
            )
        else:
            values[name] = value
    tables = as_tensors(**values)
    for name, table in zip(values, tables, strict=True):
        check_distribution(name, table)
    names = " and ".join(values)
    shapes = " and ".join(str(tuple(table.shape)) for table in tables)
    if len({table.shape[-1] for table in tables}) > 1:
        raise ValueError(f"{names} must have the same number of states, found shapes {shapes}")
    try:
        torch.broadcast_shapes(*[table.shape for table in tables])
    except RuntimeError:
        raise ValueError(
            f"the leading axes of {names} must broadcast, found shapes {shapes}"
        ) from None
    return tables


def _joint(values: Values) -> tuple[Tensor, Tensor, Tensor]:
    """A checked joint table (..., K, L) and its marginals (..., K, 1) and (..., 1, L)."""
    (joint,) = as_tensors(joint=values)
    check_distribution("joint", joint, axes=2)
    return joint, joint.sum(-1, keepdim=True), joint.sum(-2, keepdim=True)


def _weighted_log(p: Tensor, q: Tensor) -> Tensor:
    """Entries p log q with 0 log 0 = 0, and no NaN in their gradients."""
    return p * safe_log(torch.where((p == 0) & (q == 0), 1.0, q))


def _divergence(p: Tensor, q: Tensor) -> Tensor:
    """Kullback-Leibler divergence of checked tables, nats."""
    return (_weighted_log(p, p) - _weighted_log(p, q)).sum(-1)
