"""What a training loop costs beside the maths it is for."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from benchmarks.peer_networks import BY_HAND, PEERS, RATE, Trainer, networks
from benchmarks.report import MEASUREMENTS, Row, Section, timed
from benchmarks.settings import Settings
from benchmarks.timing import Contender
from generative.variational_autoencoder import VariationalAutoencoder
from inference import Evaluate

__all__ = ["section"]

#: Sizes (data, hidden, latent), rows, batch size, epochs, and the most that our loop may cost of
#: the one written by hand.
SIZES = (((64, 256, 8), 1500, 50, 20, 1.2), ((784, 400, 20), 2560, 128, 10, 1.05))

NOTES = (
    "A variational autoencoder with one hidden layer each side on random bits: the same networks,",
    "loss and Adam in a loop written by hand (torch's default Adam, and the fused one that ours",
    "takes by itself), in VariationalAutoencoder.fit with a callback and its history, in Pyro's",
    "SVI with TraceMeanField_ELBO and in pythae's BaseTrainer. Microseconds per step.",
    "Ratios are to the loop by hand with the fused Adam, the faster one. Of roof: the products of",
    "matrices of a step, forwards and backwards, at the rate of a large one.",
)


def section(settings: Settings) -> Section:
    """The table of this section."""
    return Section("Training loops", NOTES, MEASUREMENTS, _rows(settings))


def ours(sizes: tuple[int, int, int], x: Tensor, batch_size: int, epochs: int) -> None:
    """Our loop, with a callback."""
    model = VariationalAutoencoder(*networks(sizes), sizes[2]).to(x.device)
    width = Evaluate(lambda model: {"latent_dim": model.latent_dim})
    model.fit(
        x,
        epochs=epochs,
        batch_size=batch_size,
        lr=RATE,
        callbacks=[width],
        generator=0,
        progress=False,
    )


def operations(sizes: tuple[int, int, int], batch_size: int) -> int:
    """Operations in the products of one step: forwards, and for weights and inputs backwards."""
    data, hidden, latent = sizes
    weights = data * hidden + 2 * hidden * latent + latent * hidden + hidden * data
    # Nothing asks for the gradient of the data.
    return 2 * batch_size * (3 * weights - data * hidden)


def _rows(settings: Settings) -> Iterator[Row]:
    peers = PEERS if settings.peers else {}
    trainers = {"ours": ours, **BY_HAND, **peers}
    # The first optimiser of a process imports a compiler, which takes seconds.
    torch.optim.Adam([torch.zeros(1)])
    for sizes, count, batch_size, epochs, target in SIZES:
        count = max(settings.rows(count), batch_size)
        source = torch.Generator().manual_seed(0)
        x = (torch.rand(count, sizes[0], generator=source) < 0.3).float().to(settings.device)
        job = (sizes, x, batch_size, settings.rows(epochs))
        yield from _compared(settings, trainers, job, target)


def _compared(
    settings: Settings,
    trainers: dict[str, Trainer],
    job: tuple[tuple[int, int, int], Tensor, int, int],
    target: float,
) -> Iterator[Row]:
    """One row per contender, in turns."""
    sizes, x, batch_size, epochs = job
    taken = len(x) // batch_size * epochs

    def contender(name: str, train: Trainer) -> Contender:
        return Contender(name, lambda: lambda: train(*job), taken)

    found = settings.time(*[contender(name, train) for name, train in trainers.items()])
    words = "-".join(map(str, sizes))
    best = found["by hand, fused Adam"]
    work = operations(sizes, batch_size)
    for name, timing in found.items():
        yield timed(
            f"{words}, batch {batch_size}: {name}",
            "us/step",
            timing,
            best,
            target=settings.target(target * best.read("us/step")) if name == "ours" else None,
            note=f"{timing.median / best.median:.2f} times the loop by hand",
            floor=settings.floor("float32", work, timing.median),
        )
