"""Parts of work, with a single process: their draws, their sums, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from energy import IsingModel, NeuralEnergy, RestrictedBoltzmannMachine
from generative.networks import mlp
from inference import (
    Optimization,
    annealed_importance_sampling,
    join,
    parallel_tempering,
    sample_chain,
    share_rows,
)
from inference.learning.descent import Player, descend
from inference.learning.parted_gradient import PartedGradient
from inference.learning.schedule import Schedule
from inference.parallel import Team, draw_key, part_seed
from inference.sampling.replica_exchange import ReplicaExchange

ISING = IsingModel(0.2 * (1 - torch.eye(4).double()))


def rows(n: int = 30) -> torch.Tensor:
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(1)).double()


def learned(
    optimization: Optimization, model: nn.Module, noise: float = 0.0, size: int = 10, **settings
):
    """History of descent on a loss that draws as much noise as is wanted."""

    def loss(batch, generator):
        target = batch.sum(1) + noise * torch.randn(len(batch), generator=generator)
        error = (model(batch).squeeze(1) - target).square().mean()
        return error, {"error": error}

    players = [Player("", list(model.parameters()), loss)]
    source = torch.Generator().manual_seed(0)
    schedule = Schedule(4, size, 0.1)
    return descend(model, players, rows(), schedule, optimization, source, **settings)


class TestTeam:
    @given(total=st.integers(0, 50), parts=st.integers(1, 12))
    def test_cuts_are_those_of_torch(self, total: int, parts: int) -> None:
        team, x = Team(parts), torch.arange(total)
        assert [x[cut].tolist() for cut in team.slices(total)] == [
            part.tolist() for part in x.tensor_split(parts)
        ]
        assert [len(part) for part in x.tensor_split(parts)] == team.counts(total)

    def test_a_process_by_itself(self) -> None:
        with join() as team:
            x = torch.ones(3)
            team.sum([x])
            team.follow_first([x])
            team.agree("x", [x])
            team.wait()
            assert (team.size, team.parts, team.first, team.own) == (1, 1, True, range(1))
            assert x.tolist() == [1, 1, 1]
            assert team.bar(None) is None

    def test_parts_must_reach_all_processes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
        monkeypatch.setattr("torch.distributed.get_world_size", lambda: 4)
        monkeypatch.setattr("torch.distributed.get_rank", lambda: 2)
        with pytest.raises(ValueError, match="parts must be at least the number of processes, 4"):
            Team(3)
        # Contiguous blocks, whose sizes differ by one at most.
        assert Team(10).own == range(5, 7)
        assert Team.alone().own == range(1)

    @pytest.mark.parametrize("parts", [2.5, "two", True])
    def test_parts_are_whole(self, parts) -> None:
        with pytest.raises(TypeError, match="parts must be a whole number"):
            Team(parts)

    @pytest.mark.parametrize("name", ["RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"])
    def test_half_an_address_is_refused(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        for other in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
            monkeypatch.setenv(other, "1")
        monkeypatch.delenv(name)
        with pytest.raises(ValueError, match=f"^{name} must be set .* torchrun"), join():
            pass


class TestSeeds:
    def test_none_comes_twice(self) -> None:
        # 10^5 random seeds of 32 bits would agree somewhere with probability 0.69.
        for key in (0, 1, 2**62 - 1):
            seeds = [part_seed(key, count) for count in range(100_000)]
            assert len({seed % 2**32 for seed in seeds}) == len(seeds)
            assert 0 <= min(seeds) <= max(seeds) < 2**64

    def test_runs_do_not_share_theirs(self) -> None:
        first, second = ({part_seed(key, n) % 2**32 for n in range(5000)} for key in (3, 4))
        # About 0.006 pairs are expected.
        assert len(first & second) <= 3

    def test_draws_of_parts_are_as_good_as_any(self) -> None:
        # Means of neighbouring parts' first draws: 4.9 standard errors, one false alarm in 10^6.
        source = torch.Generator()
        draws = torch.stack(
            [torch.randn(8, generator=source.manual_seed(part_seed(7, n))) for n in range(4000)]
        ).double()
        assert draws.mean(0).abs().max() < 5.3 / 4000**0.5
        assert (draws[1:] * draws[:-1]).mean(0).abs().max() < 5.3 / 3999**0.5

    def test_key_follows_from_the_generator(self) -> None:
        keys = [draw_key(torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
        assert keys[0] == keys[1] != keys[2]


class TestGradients:
    def test_without_chance_parts_make_no_difference(self) -> None:
        models = [mlp([2, 5, 1], "tanh", generator=0).double() for _ in range(2)]
        # All rows in a step, in any order; parts of 8, 8, 7 and 7 of them.
        whole = learned(Optimization(clip_norm=0.5), models[0], size=30)
        parts = learned(Optimization(clip_norm=0.5, parts=4), models[1], size=30)
        for x, y in zip(models[0].parameters(), models[1].parameters(), strict=True):
            torch.testing.assert_close(x, y, rtol=0, atol=1e-12)
        assert [x["error"] for x in parts] == pytest.approx([x["error"] for x in whole], abs=1e-12)

    @pytest.mark.parametrize("wrong", [False, True])
    def test_every_part_and_step_has_noise_of_its_own(
        self, monkeypatch: pytest.MonkeyPatch, wrong: bool
    ) -> None:
        if wrong:
            monkeypatch.setattr(
                "inference.learning.parted_gradient.part_seed", lambda key, count: 1
            )
        seen = []

        def loss(part, batch, generator):
            # Of the generator, and of the global one that dropout draws from.
            seen.append((torch.rand((), generator=generator).item(), torch.rand(()).item()))
            return model(batch).sum(), {}

        model = nn.Linear(2, 1).double()
        parted = PartedGradient(Team(3), model, key=5)
        with torch.random.fork_rng([]):
            for turn in range(4):
                parted(loss, list(model.parameters()), rows(6), turn)
        distinct = len({x for x, _ in seen}) == len({x for _, x in seen}) == 12
        assert distinct != wrong

    def test_running_means_are_those_of_all_parts(self) -> None:
        model = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 1)).double()
        x = rows(7)
        parts = [part.mean(0) * len(part) / 7 for part in x.tensor_split(3)]
        parted = PartedGradient(Team(3), model, key=5)
        norm = model[0]
        _ = parted(lambda part, some, _: (model(some).mean(), {}), list(model.parameters()), x, 0)
        assert norm.num_batches_tracked == 1
        torch.testing.assert_close(norm.running_mean, 0.1 * torch.stack(parts).sum(0))
        # Going through the parts one after the other would have kept less of the first.
        assert not torch.allclose(norm.running_mean, 0.1 * torch.stack(parts[:2]).sum(0))

    def test_infinite_buffers_stay_as_they_are(self) -> None:
        model = nn.Linear(2, 1).double()
        model.register_buffer("hard", torch.tensor([-torch.inf, torch.nan, 0.1]))
        loss = PartedGradient(Team(3), model, key=5)
        _ = loss(lambda part, x, _: (model(x).mean(), {}), list(model.parameters()), rows(7), 0)
        found = model.hard.nan_to_num(9, neginf=-9)
        assert torch.equal(found, torch.tensor([-9, 9, 0.1]))

    def test_no_parts_is_what_it_was(self, tmp_path: Path) -> None:
        assert "parts" not in Optimization().as_json()
        models = [mlp([2, 5, 1], generator=0).double() for _ in range(2)]
        learned(Optimization(), models[0], noise=1.0, checkpoint=tmp_path / "a")
        learned(Optimization(parts=1), models[1], noise=1.0, checkpoint=tmp_path / "b")
        # One part has draws that follow from a key, not the run's own.
        assert not torch.equal(models[0].layers[0].weight, models[1].layers[0].weight)

    def test_checkpoints_know_their_parts(self, tmp_path: Path) -> None:
        model = mlp([2, 5, 1], generator=0).double()
        learned(Optimization(parts=2), model, checkpoint=tmp_path / "a")
        with pytest.raises(ValueError, match="holds learning with other optimization"):
            learned(Optimization(parts=3), model, checkpoint=tmp_path / "a")

    @pytest.mark.parametrize(("parts", "error"), [(0, ValueError), (1.5, TypeError)])
    def test_numbers_of_parts_that_make_no_sense(self, parts, error) -> None:
        with pytest.raises(error, match="parts must be"):
            Optimization(parts=parts)

    def test_more_parts_than_rows_of_a_batch(self) -> None:
        model = mlp([2, 5, 1], generator=0).double()
        with pytest.raises(
            ValueError, match="at most the number of rows of a batch, 10, found 11"
        ):
            learned(Optimization(parts=11), model)


class TestMachines:
    def test_one_more_checkpoint_and_all_goes_on(self, tmp_path: Path) -> None:
        bits = (rows(40) > 0).double()

        def fit(epochs: int, file: str) -> RestrictedBoltzmannMachine:
            machine = RestrictedBoltzmannMachine(2, 3, generator=0).double()
            options = {"batch_size": 20, "chains": 7, "parts": 3, "progress": False}
            path = tmp_path / file
            return machine.fit(bits, epochs=epochs, checkpoint=path, generator=0, **options)

        whole = fit(4, "a")
        assert torch.equal(fit(4, "a").weights, whole.weights)
        assert torch.equal(fit(4, "b").weights, whole.weights)

    def test_neural_chains_of_parts_go_on(self, tmp_path: Path) -> None:
        def fit(file: str) -> NeuralEnergy:
            model = NeuralEnergy(mlp([2, 5, 1], "silu", generator=0).double(), 2)
            options = {"epochs": 2, "batch_size": 10, "chains": 20, "steps": 2, "generator": 0}
            path, parts = tmp_path / file, Optimization(parts=3)
            return model.fit(
                rows(), optimization=parts, checkpoint=path, progress=False, **options
            )

        whole, again = fit("a"), fit("a")
        assert whole.history == again.history
        for x, y in zip(whole.parameters(), again.parameters(), strict=True):
            assert torch.equal(x, y)

    @pytest.mark.parametrize(
        ("options", "found"),
        [
            ({"parts": 31, "batch_size": 30}, "rows of a batch, 30, found 31"),
            ({"parts": 5, "chains": 4}, "chains, 4, found 5"),
            ({"parts": 0}, "parts must be at least 1"),
        ],
    )
    def test_bad_parts(self, options: dict, found: str) -> None:
        machine = RestrictedBoltzmannMachine(2, 3, generator=0).double()
        with pytest.raises(ValueError, match=found):
            machine.fit((rows(40) > 0).double(), epochs=1, progress=False, **options)
        assert not machine.history

    def test_more_parts_than_neural_chains(self) -> None:
        model = NeuralEnergy(mlp([2, 5, 1], "silu", generator=0).double(), 2)
        with pytest.raises(ValueError, match="at most the number of chains, 2, found 3"):
            model.fit(rows(), chains=2, optimization=Optimization(parts=3), progress=False)


class TestChains:
    def test_estimate_is_right(self) -> None:
        # Exact by enumeration; 5 standard errors, one false alarm in a million.
        states = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0]).double()] * 4)
        exact = (-ISING.energy(states)).logsumexp(0).item()
        found = annealed_importance_sampling(ISING, chains=512, parts=4, generator=0)
        assert abs(float(found) - exact) < 5 * found.standard_error

    def test_one_goes_on_bit_for_bit(self) -> None:
        kernel, begin = ISING.tempered_law().at(1.0), torch.ones(5, 4).double()
        once = sample_chain(kernel, begin, draws=9, parts=2, generator=0)
        half = sample_chain(kernel, begin, draws=4, parts=2, generator=0)
        assert torch.equal(sample_chain(kernel, half, draws=5, parts=2).values, once.values)
        # Parts of two and three chains, each with the draws of its generator.
        key = draw_key(torch.Generator().manual_seed(0))
        alone = sample_chain(kernel, begin[3:], draws=9, generator=part_seed(key, 1))
        assert torch.equal(once.values[3:], alone.values)

    def test_samples_come_back_from_a_file(self, tmp_path: Path) -> None:
        kernel, begin = ISING.tempered_law().at(1.0), torch.ones(5, 4).double()
        half = sample_chain(kernel, begin, draws=4, parts=2, generator=0)
        half.save(tmp_path / "half")
        loaded = type(half).load(tmp_path / "half")
        assert torch.equal(loaded.generator_state, half.generator_state)
        with pytest.raises(ValueError, match="go on with parts=2"):
            sample_chain(kernel, half, draws=4)
        with pytest.raises(ValueError, match="parts must be those of the samples, 2, found 3"):
            sample_chain(kernel, half, draws=4, parts=3)
        whole = sample_chain(kernel, begin, draws=4, generator=0)
        with pytest.raises(ValueError, match="parts must be those of the samples, None"):
            sample_chain(kernel, whole, draws=4, parts=2)
        assert len(sample_chain(kernel, whole, draws=4, parts=2, generator=1)) == 8

    def test_a_temperature_for_each_chain_cannot_be_cut(self) -> None:
        kernel = ISING.tempered_law().at(torch.linspace(0, 1, 4).double())
        with pytest.raises(ValueError, match="an inverse temperature for each"):
            sample_chain(kernel, torch.ones(4, 4).double(), draws=1, parts=2)

    def test_replicas_that_are_exchanged_cannot_be_cut(self) -> None:
        kernel = ReplicaExchange(ISING.tempered_law(), torch.linspace(0, 1, 3).double())
        with pytest.raises(ValueError, match=r"found ReplicaExchange; call parallel_tempering"):
            sample_chain(kernel, torch.ones(4, 4).double(), draws=1, parts=2)

    @pytest.mark.parametrize(
        ("call", "found"),
        [
            (lambda: annealed_importance_sampling(ISING, chains=3, parts=4), "chains, 3, found 4"),
            (lambda: parallel_tempering(ISING, chains=3, parts=4), "chains, 3, found 4"),
            (
                lambda: annealed_importance_sampling(
                    ISING, chains=24, islands=6, resample="systematic", parts=4
                ),
                "parts must divide the islands",
            ),
            (
                lambda: sample_chain(
                    ISING.tempered_law().at(1.0), torch.ones(3, 4).double(), draws=1, parts=4
                ),
                "chains, 3, found 4",
            ),
        ],
    )
    def test_bad_parts(self, call, found: str) -> None:
        with pytest.raises(ValueError, match=found):
            call()

    def test_tempering_in_parts_has_the_right_law(self) -> None:
        # Energies of 6 independent ladders against the exact mean: 5 standard errors.
        states = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0]).double()] * 4)
        energy = ISING.energy(states)
        exact = (energy * (-energy).softmax(0)).sum().item()
        found = parallel_tempering(ISING, draws=400, chains=48, warmup=70, parts=3, generator=0)
        assert found.samples.shape == (48, 400, 4)
        means = found.energy.mean(1)
        assert abs(means.mean().item() - exact) < 5.5 * means.std().item() / 48**0.5
        assert 0 < found.swap_rates.min() <= found.swap_rates.max() <= 1


class TestRows:
    @pytest.mark.parametrize("parts", [None, 1, 3, 7])
    def test_kinds_of_rows(self, parts: int | None) -> None:
        x = torch.arange(7.0)
        table = pd.DataFrame({"x": x.numpy()}, index=np.arange(7)[::-1] / 2)
        assert torch.equal(share_rows(torch.sqrt, x, parts), x.sqrt())
        found = share_rows(
            lambda rows: torch.from_numpy(rows["x"].to_numpy(copy=True)), table, parts
        )
        assert torch.equal(found, x)
        columns = {"x": x, "label": list("abcdefg")}
        found = share_rows(
            lambda rows: {"x": rows["x"], "n": torch.tensor([ord(c) for c in rows["label"]])},
            columns,
            parts,
        )
        assert found["n"].tolist() == [ord(c) for c in "abcdefg"]

    @pytest.mark.parametrize(
        ("function", "given", "error", "found"),
        [
            (torch.sqrt, torch.ones(2), ValueError, "number of rows, 2, found 3"),
            (torch.sum, torch.ones(6), ValueError, "a row for each of the 2"),
            (len, torch.ones(6), TypeError, "must return a tensor or a mapping"),
            (torch.sqrt, {"a": [1], "b": [1, 2]}, ValueError, "columns of one length"),
            (torch.sqrt, "abcdef", TypeError, "rows must be a tensor"),
        ],
    )
    def test_bad_input(self, function, given, error, found: str) -> None:
        with pytest.raises(error, match=re.escape(found)):
            share_rows(function, given, parts=3)
