"""The No-U-Turn sampler of Pyro, for chains of a log density.

.. math:: x_{t+1} \\sim \\text{a trajectory of } H(x, p) = -\\ell(x) + \\tfrac12 p^\\top M^{-1} p
          \\text{ that stops where it turns back}
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from inference.inputs import as_whole
from inference.progress import progress_bar
from inference.random import GeneratorLike, as_generator, spawn
from inference.sampling.continuous import LogDensity, check_position, check_start, evaluate

__all__ = ["NutsResult", "nuts"]


@dataclass(frozen=True, eq=False)
class NutsResult:
    """Draws of the No-U-Turn sampler.

    No divergences are no proof: where chains never enter a part of the law, nothing diverges
    there. Look at R-hat and effective sample sizes too.

    Attributes:
        values: draws, (chain, draw, *event).
        divergent: draws whose trajectory was cut, (chain, draw) bool.
        step_size: after warm-up, (chain,).
        acceptance: mean over the trajectories, (chain,), to three digits.
        evaluations: of the log density and its slope, warm-up included, (chain,) int64.
    """

    values: Tensor
    divergent: Tensor
    step_size: Tensor
    acceptance: Tensor
    evaluations: Tensor


def nuts(
    log_density: LogDensity,
    position: Tensor,
    draws: int = 1000,
    warmup: int = 1000,
    *,
    target_acceptance: float = 0.8,
    full_mass: bool = False,
    max_tree_depth: int = 10,
    generator: GeneratorLike = None,
    progress: bool | None = None,
) -> NutsResult:
    """Sample by trajectories that choose their own lengths, one chain after the other.

    .. math:: p(x) \\propto e^{\\ell(x)}

    Needs no tuning by hand; but chains are not a batch here, and every step is made in Python.
    Where many chains are wanted, ``hmc.HMC`` after ``adaptation.warm_up`` costs less by orders of
    magnitude.

    Arguments:
        log_density: of the law, differentiable.
        position: where chains start, (chain, *event).
        draws: kept per chain.
        warmup: steps before them, in which step size and mass are found.
        target_acceptance: mean acceptance aimed at; more is slower and safer.
        full_mass: whether the mass is a matrix or a diagonal.
        max_tree_depth: trajectories have less than 2 to this power steps.
        generator: None, a seed or a generator; every chain has its own random numbers.
        progress: a bar; None shows it on a terminal.

    Returns:
        Draws, and how they were made.

    Raises:
        TypeError: if ``position`` holds no floating-point numbers.
        ValueError: if a chain has no finite log density, a count is too small, or the target is
            outside (0, 1).

    Reference:
        Hoffman & Gelman 2014, "The No-U-Turn sampler", algorithm 6; Betancourt 2017, "A
        conceptual introduction to Hamiltonian Monte Carlo", appendix A (multinomial draws).

    Example:
        >>> found = nuts(
        ...     lambda x: -0.5 * x.square().sum(1), torch.zeros(2, 1), 5, 5, generator=0
        ... )
        >>> found.values.shape, found.divergent.any().item()
        (torch.Size([2, 5, 1]), False)
    """
    draws, warmup = as_whole("draws", draws, least=1), as_whole("warmup", warmup, least=0)
    as_whole("max_tree_depth", max_tree_depth, least=1)
    if not 0 < target_acceptance < 1:
        raise ValueError(f"target_acceptance must be in (0, 1), found {target_acceptance}")
    device = position.device if isinstance(position, Tensor) else torch.device("cpu")
    check_position(position, device)
    point = evaluate(log_density, position, gradient=True)
    check_start(~point.log_density.isfinite() | point.invalid, point.invalid)
    settings = {
        "target_accept_prob": target_acceptance,
        "full_mass": full_mass,
        "max_tree_depth": max_tree_depth,
    }
    seeds = [
        child.initial_seed() for child in spawn(as_generator(generator, device), len(position))
    ]
    with progress_bar(len(position) * (draws + warmup), "NUTS", progress) as bar:
        chains = [
            _chain(log_density, start, draws, warmup, settings, seed, bar)
            for start, seed in zip(position.detach(), seeds, strict=True)
        ]
    values, divergent, step_size, acceptance, evaluations = zip(*chains, strict=True)
    return NutsResult(
        torch.stack(values),
        torch.stack(divergent),
        torch.tensor(step_size, dtype=torch.float64, device=device),
        torch.tensor(acceptance, dtype=torch.float64, device=device),
        torch.tensor(evaluations, device=device),
    )


@torch.inference_mode(False)
@torch.enable_grad()
def _chain(
    log_density: LogDensity,
    start: Tensor,
    draws: int,
    warmup: int,
    settings: dict[str, Any],
    seed: int,
    bar: Any,
) -> tuple[Tensor, Tensor, float, float, int]:
    """Draws of one chain, which of them diverged, step size, acceptance, evaluations.

    Also where a caller has switched derivatives off.
    """
    from pyro.infer import MCMC, NUTS

    divergent = torch.zeros(draws, dtype=torch.bool, device=start.device)
    figures: dict[str, float] = {}
    evaluations = 0

    def potential(position: dict[str, Tensor]) -> Tensor:
        nonlocal evaluations
        evaluations += 1
        value = log_density(position["x"][None])[0]
        # Pyro would take +inf for a state of all the weight.
        return -torch.where(value.isposinf(), -torch.inf, value)

    def look(kernel: Any, position: object, stage: str, step: int) -> None:
        bar.update(1)
        if stage == "Sample" and step == draws - 1:
            divergent[kernel.diagnostics()["divergences"]] = True
            figures["step_size"] = float(kernel.step_size)
            figures["acceptance"] = float(kernel.logging()["acc. prob"])

    sampler = MCMC(
        NUTS(potential_fn=potential, **settings),
        num_samples=draws,
        warmup_steps=warmup,
        initial_params={"x": start.clone()},
        disable_progbar=True,
        hook_fn=look,
    )
    with _seeded(seed, start.device):
        sampler.run()
    values = sampler.get_samples()["x"]
    return values, divergent, figures["step_size"], figures["acceptance"], evaluations


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Give Pyro, which draws from the global random state, a state of its own for a while."""
    if device.type != "cuda":
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            yield
    else:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            torch.manual_seed(seed)
            yield
