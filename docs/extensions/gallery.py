"""Hooks of the gallery: the order of examples, and the figure that each has written.

The examples are scripts that save a figure of their own name, so the gallery takes the files.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from sections import SECTIONS
from sphinx_gallery.scrapers import figure_rst

__all__ = ["in_order", "written_figure"]

ORDER = [name for section in SECTIONS for name in (section.folder, *section.examples)]


def in_order(name: str) -> int:
    """Place of a section or an example, by its file."""
    return ORDER.index(Path(name).stem)


def written_figure(
    block: tuple[Any, ...], block_vars: dict[str, Any], gallery_conf: dict[str, Any]
) -> str:
    """The figure of an example, as text of its page; what was drawn need not be kept."""
    plt.close("all")
    source = Path(block_vars["src_file"])
    figure = source.parent / "figures" / f"{source.stem}.png"
    if not figure.is_file():  # a block of text, or of code before the last
        return ""
    image = next(block_vars["image_path_iterator"])
    shutil.move(figure, image)
    return figure_rst([image], gallery_conf["src_dir"])
