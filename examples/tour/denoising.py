"""A conditional random field: what is in a noisy picture, when neighbours have a say."""

from __future__ import annotations

import matplotlib.pyplot as plt
import torch
from torch import Tensor, nn

from examples.grid_crf import GROUND, PATCH, SHAPE, patches, scenes
from examples.tour.guide import Guide
from generative.sample_plot import plot_images
from pgm.conditional.templates import GridTemplate
from pgm.conditional_random_field import ConditionalRandomField

DISCS = "discs in noise, per pixel"


def colored(share: Tensor) -> Tensor:
    """Pictures (3, height, width) of how likely a pixel is part of a disc."""
    ground, shape = (torch.from_numpy(color)[:, None, None] for color in (GROUND, SHAPE))
    return ground + (shape - ground) * share


def segmentation(guide: Guide) -> None:
    guide.heading("Discs in noise: a conditional random field")
    (x, y), (pictures, truth) = (
        scenes(guide.pick(4, 2), 64, seed=0),
        scenes(guide.pick(24, 5), 48, seed=2),
    )
    tiles, unseen = (patches(x), patches(y)), (patches(pictures), patches(truth))
    print(f"  It learns from {len(tiles[1])} patches of 8 x 8 pixels, exactly, and is shown")
    print(f"  {len(truth)} new pictures of 48 x 48. Wrong are, of their pixels:")
    shown = [pictures[0].clamp(0, 1)]
    for name, coupled in (("independent pixels", False), ("conditional random field", True)):
        guide.seconds()
        torch.manual_seed(1)
        model = ConditionalRandomField(GridTemplate(4), 2, nn.Conv2d(3, 2, 1))
        model.pairwise.requires_grad_(coupled)
        epochs = guide.pick(40, 6)
        model.fit(*tiles, epochs=epochs, optimizer="lbfgs", batch_size=64)
        seconds = guide.seconds()
        share = model.marginals(pictures, "belief-propagation")[:, 1].detach()
        wrong = ((share > 0.5) != truth).double().mean().item()
        print(f"  {name:<26}{wrong:.1%}")
        shown.append(colored(share[0]))
        values = model.log_prob(*unseen).reshape(len(truth), -1).mean(1) / PATCH**2
        guide.score(name, DISCS, values, seconds)
    shown = torch.stack([*shown, colored(truth[0].double())]).clamp(0, 1)
    words = ["picture", "alone", "together", "truth"]
    _, ax = plt.subplots(figsize=(11, 3.3), layout="constrained")
    guide.save(plot_images(shown, (3, 48, 48), ax, columns=4, labels=words), "denoised")
    guide.panel(
        "discs",
        "Conditional random field",
        "pixels judged alone, together",
        lambda ax: plot_images(shown, (3, 48, 48), ax, columns=2, labels=words),
    )
