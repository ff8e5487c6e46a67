"""How narrow can a code be? Five rows, 10000 to 00001, are to come back through M numbers.

Which of five rows it is takes log2 5 = 2.32 bits. Three units that are almost on or off have room
for that, and so have two real numbers: an output of one layer turns on beyond a line, and a line
cuts off each of five points in a ring. On one axis only the two outermost points can be cut off.
"""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from generative.autoencoder import Autoencoder
from generative.networks import mlp
from inference.palette import SERIES

ROWS = torch.eye(5)


def learned(width: int, *, bits: bool = False) -> Autoencoder:
    encoder = mlp([5, width], output="sigmoid" if bits else "tanh", generator=width)
    model = Autoencoder(encoder, mlp([width, 5], generator=width), loss="bernoulli")
    return model.fit(ROWS, epochs=1000, batch_size=5, lr=0.1, generator=0, progress=False)


def main(out: Path) -> None:
    print(f"One of five rows: log2 5 = {math.log2(5):.2f} bits\n")
    print(f"{'code':<16}{'rows that come back':>20}{'error, nats a row':>20}")
    models = {
        "1 number": learned(1),
        "2 numbers": learned(2),
        "3 units, 0 to 1": learned(3, bits=True),
    }
    for name, model in models.items():
        right = int((model.reconstruct(ROWS).round() == ROWS).all(1).sum())
        print(f"{name:<16}{right:>15} of 5{-model.score(ROWS):20.3f}")
    bits = models["3 units, 0 to 1"].encode(ROWS).tolist()
    words = ["".join([f"{bit:.0f}" for bit in code]) for code in bits]
    print(f"\nCodes of the units: {' '.join(words)}")

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.8), layout="constrained")
    for (name, model), color in zip(models.items(), SERIES, strict=False):
        errors = [figures["error"] for figures in model.history]
        left.plot(range(1, len(errors) + 1), errors, color=color, label=name)
    left.set(xscale="log", yscale="log", xlabel="step", ylabel="error, nats a row")
    left.legend(frameon=False)
    left.spines[["top", "right"]].set_visible(False)

    plane = models["2 numbers"]
    codes = plane.encode(ROWS).detach()
    edge = 1.4 * float(codes.abs().max())
    axis = torch.linspace(-edge, edge, 200)
    grid = torch.cartesian_prod(axis, axis)
    chances = plane.decode(grid).detach().reshape(200, 200, 5)
    for place, (code, color) in enumerate(zip(codes, SERIES, strict=False)):
        right.contour(axis, axis, chances[..., place].T, [0.5], colors=[color], linewidths=1.2)
        right.annotate(
            f"{10 ** (4 - place):05d}",
            code.tolist(),
            (0, 8),
            textcoords="offset points",
            ha="center",
        )
        right.scatter(*code.tolist(), color=color, zorder=3)
    left.set_title("Codes of three widths", fontsize=10.5)
    right.set_title("Two numbers, and where each output turns on", fontsize=10.5)
    right.set(xlabel="first number", ylabel="second number", aspect="equal")
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "encoder_task.png", dpi=130)
    print(f"\nFigure: {out / 'encoder_task.png'}")


if __name__ == "__main__":
    main(Path("figures"))
