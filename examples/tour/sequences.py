"""A hidden Markov model: what the order of the eruptions adds."""

from __future__ import annotations

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from torch import Tensor

from examples.tour.clusters import GEYSER, LENGTH, eruptions
from examples.tour.guide import Guide
from inference.palette import AMBER, BLUE, TRACK
from inference.pictures import plain
from pgm import HiddenMarkovModel

SHOWN = 60


def draw_path(model: HiddenMarkovModel, x: Tensor, ax: Axes) -> Axes:
    """Waiting times over the best path of states; those of an hour nobody took are bands."""
    (path,), _ = model.viterbi(x)
    wait, path = x[:SHOWN, 1].numpy(), path[:SHOWN]
    short = int(model.means[:, 0].argmin())
    colors = [AMBER if state == short else BLUE for state in path.tolist()]
    level = model.means[path, 1].numpy()
    for gap in x[:SHOWN, 1].isnan().nonzero()[:, 0].tolist():
        ax.axvspan(gap - 0.5, gap + 0.5, color=TRACK, lw=0)
    ax.step(range(SHOWN), level, where="mid", color="#b9c4d0", lw=1.2, zorder=1)
    ax.scatter(range(SHOWN), wait, c=colors, s=16, zorder=2)
    plain(ax).set(xlabel="eruption", ylabel="minutes to the next", xlim=(-1, SHOWN))
    ax.grid(visible=False)
    return ax


def memory_of_a_geyser(guide: Guide) -> None:
    guide.heading("A geyser with a memory: a hidden Markov model")
    x, later = eruptions()
    guide.seconds()
    model = HiddenMarkovModel(2, "gaussian", covariance_type="full")
    model.fit(x, start_prior=1.0, generator=0)
    seconds = guide.seconds()
    short = int(model.means[:, 0].argmin())
    print("  The same eruptions, in their order. Two states that nobody has labelled:")
    print(f"  {'':>6}{'minutes':>10}{'until next':>12}{'then short':>12}{'then long':>11}")
    for name, k in (("short", short), ("long", 1 - short)):
        (minutes, wait), to = model.means[k], model.transitions[k]
        print(f"  {name:>6}{minutes:10.2f}{wait:12.1f}{to[short]:12.1%}{to[1 - short]:11.1%}")
    print("  They were drawn with 4 % and 96 % after a short one, 54 % and 46 % after a long one.")
    memory = guide.score("hidden Markov model", GEYSER, model.log_prob(later) / LENGTH, seconds)
    without = next(line.nats for line in guide.scores if line.data == GEYSER)
    print(f"  To know the past is worth {memory - without:.3f} nats per eruption of later series.")
    _, ax = plt.subplots(figsize=(9, 3.4), layout="constrained")
    draw_path(model, x, ax).set_title("The best path: short (amber) and long; grey: not timed")
    guide.save(ax, "geyser_path")
    guide.panel(
        "geyser",
        "Hidden Markov model: the best path",
        "short eruptions amber, long ones blue; grey: not timed",
        lambda ax: draw_path(model, x, ax),
        axes=True,
    )
