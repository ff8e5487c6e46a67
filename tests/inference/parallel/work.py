"""What one process of several does: everything that can be done in parts, its results in a file.

Run as ``python work.py all FOLDER`` or ``python work.py train FOLDER [kill]`` in every process.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from energy import IsingModel, NeuralEnergy, RestrictedBoltzmannMachine
from generative import GenerativeAdversarialNetwork, VariationalAutoencoder, WassersteinGAN
from generative.networks import mlp
from inference import (
    ColoredGibbs,
    Factor,
    FactorGraph,
    Optimization,
    annealed_importance_sampling,
    join,
    parallel_tempering,
    sample_chain,
    share_rows,
)
from inference.learning.callbacks import Callback
from inference.learning.descent import Player, descend
from inference.learning.schedule import Schedule
from inference.sampling.density import DiscreteDensity
from inference.sampling.observers import Mean, Trace
from pgm import LinearChainCRF
from pgm.classic import asia

#: Two processes do not share these evenly.
PARTS = 3

Found = dict[str, Tensor]


def state(name: str, model: nn.Module, history: list | None = None) -> Found:
    """Parameters and buffers of a model, and the figures of its last epoch."""
    found = {f"{name}.{key}": x for key, x in model.state_dict().items()}
    last = (model.history if history is None else history)[-1]  # pyright: ignore
    figures = [float(x) for key, x in sorted(last.items()) if key != "epoch"]
    return {**found, f"{name}.figures": torch.tensor(figures, dtype=torch.float64)}


def rows(n: int = 64) -> Tensor:
    """Some rows of the plane."""
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(5))


def parts(**settings) -> Optimization:
    return Optimization(parts=PARTS, **settings)


def vae(dtype: torch.dtype = torch.float64, callbacks=(), checkpoint=None) -> Found:
    """With dropout, batch normalisation, averaged weights and clipped gradients."""
    # A bias ahead of a normalisation has no gradient but rounding, which Adam makes a step of.
    exact = dtype == torch.float64
    encoder = mlp([2, 8, 4], dropout=0.2, batch_norm=exact, generator=0)
    model = VariationalAutoencoder(
        encoder, mlp([2, 8, 4], generator=1), latent_dim=2, likelihood="gaussian"
    ).to(dtype)
    model.fit(
        rows().to(dtype),
        epochs=6,
        batch_size=16,
        optimization=parts(clip_norm=1.0, ema=0.9),
        callbacks=callbacks,
        checkpoint=checkpoint,
        generator=0,
        progress=False,
    )
    return state(f"vae.{dtype}", model)


def games() -> Found:
    networks = mlp([2, 8, 2], batch_norm=True, generator=0), mlp([4, 8, 1], generator=1)
    gan = GenerativeAdversarialNetwork(*networks, pack=2, r1=0.1).double()
    critic = mlp([2, 8, 1], "silu", generator=3)
    wgan = WassersteinGAN(mlp([2, 8, 2], generator=2), critic, critic_steps=2).double()
    bounded = mlp([2, 8, 2], generator=2), mlp([2, 8, 1], generator=3)
    spectral = WassersteinGAN(*bounded, "spectral", critic_steps=1).double()
    found = {}
    for name, model in (("gan", gan), ("wgan", wgan), ("spectral", spectral)):
        model.fit(
            rows(), epochs=4, batch_size=12, optimization=parts(), generator=1, progress=False
        )
        found |= state(name, model)
    return found


def machines() -> Found:
    bits = (rows(60) > 0).double().repeat(1, 2)
    found = {}
    for name, settings in {
        "pcd": {"centered": True, "sparsity": 0.3, "momentum": 0.5},
        "pt": {"method": "pt", "temperatures": 3},
        "cd": {"method": "cd", "k": 2, "draw_data": True, "validation": bits[:5]},
    }.items():
        machine = RestrictedBoltzmannMachine(4, 3, generator=0).double()
        machine.fit(
            bits,
            epochs=4,
            batch_size=20,
            chains=10,
            parts=PARTS,
            generator=2,
            progress=False,
            **settings,
        )
        found |= state(name, machine)
    return found


def neural() -> Found:
    found = {}
    for method in ("persistent", "noise-contrastive"):
        model = NeuralEnergy(mlp([2, 8, 1], "silu", generator=0).double(), 2)
        model.fit(
            rows(),
            method,
            epochs=3,
            batch_size=16,
            chains=40,
            steps=3,
            optimization=parts(),
            generator=3,
            progress=False,
        )
        found |= state(method, model)
    return found


def tags() -> Found:
    """A conditional random field on emissions of a linear layer."""
    crf = nn.ModuleDict({"emit": nn.Linear(2, 3), "crf": LinearChainCRF(3)}).double()
    with torch.no_grad():
        for x in crf.parameters():
            x.zero_()
    x = rows(60).double().view(12, 5, 2)
    y = (x[..., 0] > 0).long() + (x[..., 1] > 0).long()

    def loss(batch, generator):
        return -crf["crf"].log_prob(crf["emit"](batch[0]), batch[1]).mean(), {}

    history = descend(
        crf,
        [Player("", list(crf.parameters()), loss)],
        (x, y),
        Schedule(5, 4, 0.1),
        parts(),
        torch.Generator().manual_seed(0),
        progress=False,
    )
    return state("crf", crf, history)


def chains() -> Found:
    ising = IsingModel(0.3 * (1 - torch.eye(5).double()))
    forward = annealed_importance_sampling(ising, chains=20, parts=PARTS, generator=0)
    resampled = annealed_importance_sampling(
        ising, betas=9, chains=24, islands=6, resample="systematic", parts=PARTS, generator=0
    )
    back = annealed_importance_sampling(
        ising, betas=9, chains=7, reverse=True, parts=PARTS, generator=0
    )
    tempered = parallel_tempering(
        ising, draws=30, chains=4, warmup=70, parts=PARTS, generator=0, progress=False
    )
    pair = FactorGraph({"a": 2, "b": 2}, [Factor(["a", "b"], [[1.0, 0.5], [0.0, 1.0]])])
    kernel = ColoredGibbs(DiscreteDensity.from_graph(pair)).at(1.0)
    plan = {"observers": [Mean(), Trace(lambda x: x.sum(1))], "parts": PARTS, "progress": False}
    begun = sample_chain(kernel, torch.zeros(8, 2).long(), draws=5, generator=0, **plan)
    samples = sample_chain(kernel, begun, draws=6, **plan)
    counted = sample_chain(
        kernel, torch.zeros(8, 2).long(), draws=5, keep=False, generator=0, **plan
    )
    return {
        "ais": forward.log_weights,
        "resampled": resampled.log_weights,
        "reverse": back.log_weights,
        "tempered": tempered.samples,
        "tempered.energy": tempered.energy,
        "tempered.betas": tempered.betas,
        "tempered.rates": tempered.swap_rates,
        "tempered.trips": torch.tensor(tempered.round_trips),
        "gibbs": samples.values,
        "gibbs.mean": samples.observed["mean"],
        "gibbs.trace": samples.observed["trace"],
        "gibbs.generators": samples.generator_state,
        "gibbs.counted": counted.observed["trace"],
    }


def evidence() -> Found:
    def marginals(columns):
        logits = columns["x"].unsqueeze(-1) * torch.arange(3.0)
        return {"p": logits.softmax(-1), "even": columns["n"] % 2 == 0}

    columns = {"x": torch.linspace(-1, 1, 7), "n": torch.arange(7)}
    found = share_rows(marginals, columns, parts=PARTS)
    seen = {"smoke": torch.tensor([0, 1, 1, 0]), "xray": torch.tensor([1, 1, 0, 0])}
    posteriors = share_rows(asia().marginals, seen, parts=PARTS)
    named = {f"evidence.{name}": x for name, x in posteriors.items()}
    return {"evidence.p": found["p"], "evidence.even": found["even"], **named}


def everything() -> Found:
    found = {}
    for part in (vae, games, machines, neural, tags, chains, evidence):
        found |= part()
    return {**found, **vae(torch.float32)}


class Killed(Callback):
    """Ends its process as nothing can catch it, before the third epoch is written."""

    def after_epoch(self, model, figures) -> bool:
        again = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0"
        if figures["epoch"] == 3 and os.environ.get("RANK") == "1" and not again:
            os.kill(os.getpid(), signal.SIGKILL)
        return False


def main(job: str, folder: str, *options: str) -> None:
    torch.set_num_threads(1)
    with join() as team:
        if job == "all":
            found = everything()
            # Without a seed, and with other weights: what the first process has counts.
            torch.manual_seed(team.rank)
            free = VariationalAutoencoder(nn.Linear(2, 2), nn.Linear(1, 2), latent_dim=1)
            bits = (rows() > 0).float()
            free.fit(bits, epochs=1, optimization=parts(), progress=False)
            found |= {f"unseeded.{name}": x for name, x in free.state_dict().items()}
        else:
            watching = [Killed()] if "kill" in options else []
            found = vae(callbacks=watching, checkpoint=Path(folder) / "learning.safetensors")
        contents = {name: x.contiguous() for name, x in found.items()}
        save_file(contents, Path(folder) / f"{job}{team.rank}.safetensors")


if __name__ == "__main__":
    main(*sys.argv[1:])
