"""Pictures of annealed estimates: both directions, intervals where there are some, and errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from energy.annealing_plot import plot_annealed_paths
from energy.restricted_boltzmann_machine import RestrictedBoltzmannMachine
from inference.sampling.annealed_importance import annealed_importance_sampling
from inference.sampling.log_partition_estimate import LogPartition

EVEN = LogPartition(torch.tensor([0.9, 1.0, 1.1]).repeat(30))
UNEVEN = LogPartition(torch.tensor([9.0] + 5 * [0.0]))
BACK = LogPartition(torch.tensor([1.0, 1.1]).repeat(30), reverse=True)


def test_lines_and_bands_are_those_of_the_runs() -> None:
    ax = plot_annealed_paths(
        [5, 50], [UNEVEN, EVEN], [BACK, BACK], Figure().add_subplot(), exact=1.0
    )
    lines = {str(line.get_gid()): np.asarray(line.get_data()) for line in ax.lines}
    np.testing.assert_allclose(lines["forward"], [[5, 50], [UNEVEN.value, EVEN.value]])
    bounds = [UNEVEN.mean_log_weight, EVEN.mean_log_weight]
    np.testing.assert_allclose(lines["bound:forward"][1], bounds)
    np.testing.assert_allclose(lines["bound:reverse"][1], [BACK.mean_log_weight] * 2)
    np.testing.assert_array_equal(lines["uneven:forward"][1], [UNEVEN.value, np.nan])
    assert set(lines["exact"][1]) == {1.0}
    bands = {band.get_gid(): band for band in ax.collections}
    heights = bands["interval:reverse"].get_paths()[0].vertices[:, 1]
    np.testing.assert_allclose([heights.min(), heights.max()], BACK.interval)


def test_runs_of_a_machine_close_in_on_the_exact_sum() -> None:
    machine = RestrictedBoltzmannMachine(8, 4, generator=0).double()
    machine.weights.data.mul_(100)
    exact, forward, reverse = float(machine.log_partition()), [], []
    for length in (4, 200):
        forward.append(annealed_importance_sampling(machine, betas=length, generator=0))
        reverse.append(
            annealed_importance_sampling(machine, betas=length, reverse=True, generator=0)
        )
    ax = plot_annealed_paths([4, 200], forward, reverse, Figure().add_subplot(), exact=exact)
    lines = {str(line.get_gid()): np.asarray(line.get_data())[1] for line in ax.lines}
    gaps = lines["bound:reverse"] - lines["bound:forward"]
    assert 0 < gaps[1] < gaps[0]
    assert abs(lines["forward"][1] - exact) < 0.1


@pytest.mark.parametrize(
    ("lengths", "forward", "reverse", "message"),
    [
        ([], [], None, "lengths must rise"),
        ([5, 5], [EVEN, EVEN], None, "lengths must rise"),
        ([0, 5], [EVEN, EVEN], None, "lengths must rise"),
        ([5], [EVEN, EVEN], None, "forward must have 1 runs"),
        ([5], [EVEN], [BACK, BACK], "reverse must have 1 runs"),
        ([5], [BACK], None, "forward must have forward runs"),
        ([5], [EVEN], [EVEN], "reverse must have reverse runs"),
    ],
)
def test_runs_that_do_not_belong_are_refused(lengths, forward, reverse, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plot_annealed_paths(lengths, forward, reverse)
