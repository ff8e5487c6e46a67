"""pytorch-crf and torch-struct as linear-chain conditional random fields with given weights."""

from __future__ import annotations

import importlib.util
import warnings
from typing import Any

import torch
from torch import Tensor

__all__ = ["TorchCRF", "TorchStruct"]


class TorchCRF:
    """pytorch-crf; emissions are (B, T, K) and must be transposed before, outside the clock.

    Arguments:
        transitions: (K, K) from, to.
        start: (K,).
        end: (K,).
    """

    def __init__(self, transitions: Tensor, start: Tensor, end: Tensor) -> None:
        from torchcrf import CRF

        self.layer = CRF(len(start))
        with torch.no_grad():
            self.layer.transitions.copy_(transitions)
            self.layer.start_transitions.copy_(start)
            self.layer.end_transitions.copy_(end)

    @staticmethod
    def installed() -> bool:
        return importlib.util.find_spec("torchcrf") is not None

    def log_partition_and_gradient(self, emissions: Tensor) -> tuple[Tensor, Tensor]:
        """Sum of the log partitions of (T, B, K) emissions and its gradient by them."""
        self.layer.zero_grad()
        x = emissions.detach().requires_grad_()
        # It has no public log partition: the log-likelihood also sums the gold score.
        total = self.layer._compute_normalizer(x, torch.ones(x.shape[:2], dtype=torch.bool)).sum()
        total.backward()
        assert x.grad is not None
        return total.detach(), x.grad

    def decode(self, emissions: Tensor) -> list[list[int]]:
        """Best paths of (T, B, K) emissions."""
        return self.layer.decode(emissions)


class TorchStruct:
    """torch-struct's chain; there are no weights for the ends, so that both add to emissions."""

    def __init__(self, transitions: Tensor, start: Tensor, end: Tensor) -> None:
        self._transitions = transitions.detach().clone().requires_grad_()
        self._start, self._end = start.detach(), end.detach()

    @staticmethod
    def installed() -> bool:
        return importlib.util.find_spec("torch_struct") is not None

    def _chain(self, x: Tensor) -> Any:
        from torch_struct import LinearChainCRF

        x = torch.cat([x[:, :1] + self._start, x[:, 1:-1], x[:, -1:] + self._end], 1)
        tables = x[:, 1:, :, None] + self._transitions.T
        first = tables[:, :1] + x[:, :1, None, :]
        return LinearChainCRF(torch.cat([first, tables[:, 1:]], 1))

    def log_partition_and_gradient(self, emissions: Tensor) -> tuple[Tensor, Tensor]:
        """Sum of the log partitions of (B, T, K) emissions and its gradient by them."""
        self._transitions.grad = None
        x = emissions.detach().requires_grad_()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            total = self._chain(x).partition.sum()
        total.backward()
        assert x.grad is not None
        return total.detach(), x.grad

    def decode(self, emissions: Tensor) -> Tensor:
        """Best paths of (B, T, K) emissions, as indicators of pairs."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self._chain(emissions.detach().requires_grad_()).argmax
