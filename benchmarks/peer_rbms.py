"""rbms, learnergy and scikit-learn as samplers and learners of binary machines of two layers.

The first two are used where they are installed:

    pip install --no-deps rbms learnergy h5py
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from energy import RestrictedBoltzmannMachine

__all__ = ["Learnergy", "Rbms", "ScikitLearn"]


class Rbms:
    """A machine of rbms with the parameters of one of ours."""

    def __init__(self, machine: RestrictedBoltzmannMachine) -> None:
        from rbms.bernoulli_bernoulli.classes import BBRBM

        # Copies: what is learned here stays here.
        parameters = (machine.weights, machine.visible_bias, machine.hidden_bias)
        self.model = BBRBM(*[part.detach().clone() for part in parameters])

    @staticmethod
    def installed() -> bool:
        """Whether it can be imported."""
        return all(map(importlib.util.find_spec, ("rbms", "h5py")))

    def sweeps(self, v: Tensor, n: int) -> Callable[[], Any]:
        """A call that makes ``n`` sweeps of chains at v, one for each row."""
        chains = self.model.init_chains(len(v), start_v=v)
        return lambda: self.model.sample_state(chains, n)

    def updates(self, rows: Tensor, chains: int, batch_size: int, lr: float) -> Callable[[], Any]:
        """A call that learns from all rows once with persistent chains; no files, no logs."""
        from rbms.training.pcd import fit_batch_pcd

        optimizer = torch.optim.SGD(self.model.parameters(), lr=lr, maximize=True)
        self.model.init_grad()
        state = self.model.init_chains(chains)
        ones = torch.ones(batch_size)

        @torch.no_grad()
        def learn() -> None:
            nonlocal state
            order = torch.randperm(len(rows))
            for taken in order.split(batch_size):
                optimizer.zero_grad(set_to_none=False)
                state, _ = fit_batch_pcd((rows[taken], ones), state, self.model, 1, 1.0)
                optimizer.step()

        return learn

    def log_partition(self, chains: int, temperatures: int) -> float:
        """Log Z by its annealed importance sampling."""
        from rbms.partition_function.ais import compute_partition_function_ais

        return compute_partition_function_ais(chains, temperatures + 1, self.model)


class Learnergy:
    """A machine of learnergy with the parameters of one of ours."""

    def __init__(self, machine: RestrictedBoltzmannMachine, lr: float) -> None:
        from learnergy.models.bernoulli import RBM

        self.model = RBM(machine.n_visible, machine.n_hidden, 1, lr)
        with torch.no_grad():
            self.model.W.copy_(machine.weights)
            self.model.a.copy_(machine.visible_bias)
            self.model.b.copy_(machine.hidden_bias)

    @staticmethod
    def installed() -> bool:
        """Whether it can be imported."""
        return importlib.util.find_spec("learnergy") is not None

    def sweeps(self, v: Tensor, n: int) -> Callable[[], Any]:
        """A call that makes ``n`` sweeps of chains at v, one for each row."""

        @torch.no_grad()
        def run() -> Tensor:
            state = v
            for _ in range(n):
                _, hidden = self.model.hidden_sampling(state)
                _, state = self.model.visible_sampling(hidden)
            return state

        return run

    def epoch(self, rows: Tensor, batch_size: int) -> Callable[[], Any]:
        """A call that learns from all rows once by contrastive divergence, with its figures."""
        data = torch.utils.data.TensorDataset(rows, torch.zeros(len(rows)))
        return lambda: self.model.fit(data, batch_size, 1)


class ScikitLearn:
    """A machine of scikit-learn with the parameters of one of ours, in single precision."""

    def __init__(
        self, machine: RestrictedBoltzmannMachine, lr: float = 0.1, batch_size: int = 128
    ) -> None:
        from sklearn.neural_network import BernoulliRBM

        self.model = BernoulliRBM(
            machine.n_hidden, learning_rate=lr, batch_size=batch_size, n_iter=1, random_state=0
        )
        start = torch.zeros(batch_size, machine.n_visible)
        self.model.partial_fit(start.numpy())
        self.model.components_ = machine.weights.T.detach().numpy().copy()
        self.model.intercept_visible_ = machine.visible_bias.detach().numpy().copy()
        self.model.intercept_hidden_ = machine.hidden_bias.detach().numpy().copy()

    @staticmethod
    def copy(model: Any, machine: RestrictedBoltzmannMachine) -> None:
        """Give a machine of ours the numbers of one of theirs."""
        with torch.no_grad():
            machine.weights.copy_(torch.from_numpy(model.components_.T.copy()))
            machine.visible_bias.copy_(torch.from_numpy(model.intercept_visible_))
            machine.hidden_bias.copy_(torch.from_numpy(model.intercept_hidden_))

    def sweeps(self, v: Tensor, n: int) -> Callable[[], Any]:
        """A call that makes ``n`` sweeps of chains at v, one for each row."""

        def run() -> Any:
            state = v.numpy()
            for _ in range(n):
                state = self.model.gibbs(state)
            return state

        return run

    def epoch(self, rows: Tensor) -> Callable[[], Any]:
        """A call that learns from all rows once, with as many persistent chains as a batch has."""
        batches = [part.numpy() for part in rows.split(self.model.batch_size)]

        def learn() -> None:
            for batch in batches:
                self.model.partial_fit(batch)

        return learn
