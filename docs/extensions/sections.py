"""Sections of the gallery, and how examples say what they are called; needs nothing but Python."""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

__all__ = ["SECTIONS", "Section", "heading", "split_docstring"]


class Section(NamedTuple):
    """Some examples of one family."""

    folder: str
    title: str
    text: str
    examples: tuple[str, ...]


SECTIONS = (
    Section(
        "graphical_models",
        "Graphical models",
        "Networks of causes and effects: queries, interventions, learning with holes.",
        (
            "explaining_away",
            "interventions",
            "missing_data",
            "learn_structure",
            "linear_gaussian",
            "sigmoid_explaining_away",
            "belief_propagation_error",
            "denoising",
            "grid_crf",
        ),
    ),
    Section(
        "sequences",
        "Sequences",
        "Words, tags and eruptions, one after the other.",
        ("crooked_rhyme", "spam_words", "chunking", "faithful_hmm"),
    ),
    Section(
        "mixtures",
        "Mixtures",
        "Clusters, densities, and rows with holes.",
        (
            "em_steps",
            "iris_clusters",
            "how_many_clusters",
            "mixture_density",
            "mixture_holes",
            "colour_segmentation",
            "digit_mixture",
            "gaussian_digits",
            "kl_directions",
        ),
    ),
    Section(
        "memories_and_magnets",
        "Memories and magnets",
        "Spins that agree, networks that remember.",
        (
            "ising_transition",
            "annealing",
            "temperature",
            "storage_rules",
            "damaged_digits",
            "hopfield_capacity",
            "basins_of_attraction",
            "spurious_states",
            "dense_memories",
        ),
    ),
    Section(
        "machines",
        "Machines",
        "Boltzmann machines of one layer and more, and networks as energies.",
        (
            "bars_and_stripes",
            "rbm_digits",
            "rbm_features",
            "half_digits",
            "dbn_digits",
            "neural_density",
            "digit_likelihoods",
        ),
    ),
    Section(
        "networks",
        "Networks that generate",
        "Autoencoders, variational ones, and games between networks.",
        (
            "encoder_task",
            "denoising_autoencoder",
            "vae_digits",
            "ring_collapse",
            "vanishing_gradient",
            "wasserstein_curves",
        ),
    ),
    Section(
        "processes",
        "Beyond one process",
        "Work that processes share.",
        ("many_processes",),
    ),
)


def heading(text: str, line: str) -> str:
    """A heading in reStructuredText, underlined."""
    return f"{text}\n{line * len(text)}\n\n"


def split_docstring(source: str) -> tuple[str, str, str]:
    """Title, leading sentence and further text of a script.

    The first line is "Title: what it shows."
    """
    docstring = ast.get_docstring(ast.parse(source)) or ""
    first, _, rest = docstring.partition("\n")
    found = re.fullmatch(r"(.+?)(?:: |(?<=\?) )(.+)", first)
    if found is None:
        raise ValueError(f"a docstring begins with 'Title: what it shows.', found {first!r}")
    title, lead = found.groups()
    return title, lead[:1].upper() + lead[1:], rest.lstrip("\n")
