"""Learning an energy by likelihood, with chains that go on from step to step.

.. math:: -\\nabla_\\theta \\log p(x) = \\nabla_\\theta E(x)
          - \\mathbb{E}_{x' \\sim p} \\nabla_\\theta E(x')
"""

from __future__ import annotations

import torch
from torch import Tensor

from energy.neural.score_matching import Energy
from energy.neural.training import Settings
from inference.sampling.continuous import across
from inference.sampling.continuous_law import Base
from inference.sampling.metropolis import ContinuousKernel

__all__ = ["PersistentChains"]

#: How fast the step size follows the acceptance.
GAIN = 0.05


class PersistentChains:
    """The loss of a step: energies of data against those of chains kept in a buffer.

    .. math:: \\langle E(x) \\rangle_{\\text{data}} - \\langle E(x') \\rangle_{\\text{chains}}
              + \\lambda \\bigl(\\langle f(x)^2 \\rangle + \\langle f(x')^2 \\rangle\\bigr)

    At every step some chains of the buffer are taken, a share of them begins again at the base,
    and all move on by the kernel, whose step size follows their acceptance.

    Arguments:
        energy: what is learned.
        network: f, its part that the penalty holds near zero.
        kernel: moves the chains under the energy as it is; accepts or rejects.
        base: where chains begin.
        chains: the buffer at first, (chain, *event).
        settings: their steps, restarts and the penalty.

    Reference:
        Tieleman 2008, "Training restricted Boltzmann machines using approximations to the
        likelihood gradient", section 3; Du & Mordatch 2019, "Implicit generation and modeling
        with energy-based models", sections 3.1 to 3.3 (buffer, restarts, penalty).
    """

    def __init__(
        self,
        energy: Energy,
        network: Energy,
        kernel: ContinuousKernel,
        base: Base,
        chains: Tensor,
        settings: Settings,
    ) -> None:
        self._energy, self._network = energy, network
        self._kernel, self._base, self._settings = kernel, base, settings
        self.chains = chains
        self.step_size = torch.as_tensor(kernel.step_size, dtype=torch.float64).to(base.device)
        self._target = kernel.target_acceptance(self.chains[0].numel()) or 1.0

    def __call__(self, batch: Tensor, generator: torch.Generator) -> Tensor:
        """Mean loss of rows, (), with chains that have moved."""
        order = torch.randperm(len(self.chains), device=batch.device, generator=generator)
        taken = order[: len(batch)]
        x = self._moved(self._restarted(self.chains[taken], generator), generator)
        self.chains[taken] = x
        loss = self._energy(batch).mean() - self._energy(x).mean()
        if self._settings.l2:
            squares = [self._network(part).square().mean() for part in (batch, x)]
            loss = loss + self._settings.l2 * (squares[0] + squares[1])
        return loss

    def _restarted(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Chains of which some begin again."""
        fresh = self._base.sample(len(x), generator)
        again = torch.rand(len(x), device=x.device, generator=generator) < self._settings.restart
        return torch.where(across(again, x), fresh, x)

    def _moved(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Chains after some steps."""
        state = self._kernel.init(x)
        for _ in range(self._settings.steps):
            state = self._kernel.moved(state, self.step_size, generator)
            excess = state.acceptance.mean() - self._target
            self.step_size = self.step_size * torch.exp(GAIN * excess)
        return self._kernel.position(state)
