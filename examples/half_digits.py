"""Half digits: what a machine makes of the other half, again and again.

Half of every unseen digit is hidden, and drawn by chains whose other half is held. Where the
visible half leaves a doubt the draws differ. Their mean is a forecast of every hidden pixel, and
is compared with the mean of that pixel in the digits that were learned, which knows no half.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits

from energy import RestrictedBoltzmannMachine
from energy.machine_plot import plot_fantasies

SIDE, DRAWS, SHOWN = 8, 20, 10
COLUMNS = ["given", "drawn", "drawn", "drawn", "drawn", "mean", "truth"]


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """Rows to learn from, and others."""
    pixels = torch.from_numpy(load_digits(return_X_y=True)[0] >= 8).float()
    order = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(0))
    return pixels[order[:1500]], pixels[order[1500:]]


def main(out: Path) -> None:
    rows, others = digits()
    machine = RestrictedBoltzmannMachine(SIDE**2, 64, generator=0)
    machine.fit(rows, generator=0, progress=False)
    places = torch.arange(SIDE**2).view(SIDE, SIDE)
    halves = {"lower": places[SIDE // 2 :].flatten(), "left": places[:, : SIDE // 2].flatten()}
    figure, axes = plt.subplots(1, 2, figsize=(10, 8.1), layout="constrained")
    print(f"Mean squared error of a hidden pixel, {len(others)} unseen digits:\n")
    print(f"{'hidden':8}{'means of pixels':>18}{'one draw':>12}{f'mean of {DRAWS}':>14}")
    for ax, (name, hidden) in zip(axes, halves.items(), strict=True):
        given = others.clone()
        given[:, hidden] = torch.nan
        generator = torch.Generator().manual_seed(1)
        drawn = machine.complete(given.repeat(DRAWS, 1), sweeps=80, generator=generator)
        drawn = drawn.view(DRAWS, *others.shape)
        forecasts = rows.mean(0).expand_as(others), drawn[0], drawn.mean(0)
        errors = [(part - others)[:, hidden].square().mean() for part in forecasts]
        print(f"{name:8}{errors[0]:18.3f}{errors[1]:12.3f}{errors[2]:14.3f}")
        pictures = [given.nan_to_num(0.2), *drawn[:4], drawn.mean(0), others]
        plot_fantasies(torch.stack(pictures)[:, :SHOWN], (SIDE, SIDE), ax, COLUMNS)
        ax.set_title(
            f"The {name} half is hidden: error {errors[2]:.3f}, of pixel means {errors[0]:.3f}",
            fontsize=10.5,
        )
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "half_digits.png", dpi=130)
    print(f"\nFigure: {out / 'half_digits.png'}")


if __name__ == "__main__":
    main(Path("figures"))
