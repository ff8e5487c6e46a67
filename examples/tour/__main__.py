"""A tour: beliefs, evidence, learning, clusters, sequences, magnets, memories, dreams, games.

``python -m examples.tour [--quick] [--out FOLDER] [--shared FOLDER]``; figures go to ``figures``.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from time import perf_counter

import torch

from examples.tour import (
    causes,
    clinic,
    clusters,
    denoising,
    density,
    learning,
    machines,
    magnets,
    memories,
    networks,
    sequences,
)
from examples.tour.contact_sheet import contact_sheet
from examples.tour.guide import Guide
from examples.tour.published_networks import survey
from examples.tour.table import likelihoods

SHARED = Path(__file__).resolve().parents[3] / "shared"
CHAPTERS = (
    clinic.medical,
    clinic.clinic,
    causes.explaining_away,
    causes.seeing_and_doing,
    causes.machinery,
    learning.fitting,
    learning.structure,
    clusters.steps_of_em,
    clusters.how_many,
    sequences.memory_of_a_geyser,
    denoising.segmentation,
    magnets.temperatures,
    magnets.partition,
    memories.recall,
    density.moon_energy,
    machines.prototypes,
    machines.dreams,
    machines.beliefs,
    networks.digit_map,
    networks.collapse,
)


def main(guide: Guide) -> None:
    begun = perf_counter()
    torch.set_num_threads(1)  # faster for tensors this small, and kind to whatever else runs
    guide.out.mkdir(parents=True, exist_ok=True)
    for chapter in CHAPTERS:
        chapter(guide)
    guide.heading("Networks from practice")
    survey(guide.shared, guide.pick(math.inf, 100_000))
    likelihoods(guide)
    contact_sheet(guide)
    print(f"\nThe figures are in {guide.out}. {perf_counter() - begun:.0f} seconds.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m examples.tour", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer steps of learning")
    parser.add_argument("--out", type=Path, default=Path("figures"), help="folder of the figures")
    parser.add_argument("--shared", type=Path, default=SHARED, help="folder of networks")
    arguments = parser.parse_args()
    main(Guide(arguments.out, arguments.shared, arguments.quick))
