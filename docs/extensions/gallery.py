"""Hooks of the gallery: the order of examples, their arguments, and the figures they have written.

The examples are scripts that save figures to a folder and close them, so the gallery takes the
files. Each is told a folder of its own, below the one that it runs in.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from sections import SECTIONS
from sphinx_gallery.scrapers import figure_rst

__all__ = ["arguments", "in_order", "written_figures"]

ORDER = [name for section in SECTIONS for name in (section.folder, *section.examples)]


def in_order(name: str) -> int:
    """Place of a section or an example, by its file."""
    return ORDER.index(Path(name).stem)


def arguments(gallery_conf: dict[str, Any], script_vars: dict[str, Any]) -> list[str]:
    """Command line of an example."""
    return ["--out", str(_folder(script_vars))]


def written_figures(
    block: tuple[Any, ...], block_vars: dict[str, Any], gallery_conf: dict[str, Any]
) -> str:
    """The figures of an example in the order in which it saved them, as text of its page."""
    source = Path(block_vars["src_file"])
    folder = source.parent / _folder(block_vars)
    figures = sorted(folder.glob("*.png"), key=lambda path: path.stat().st_mtime_ns)
    images = []
    for figure, image in zip(figures, block_vars["image_path_iterator"], strict=False):
        shutil.move(figure, image)
        images.append(image)
    return figure_rst(images, gallery_conf["src_dir"])


def _folder(script_vars: dict[str, Any]) -> Path:
    """Where an example writes, relative to the folder that it runs in."""
    return Path("figures") / Path(script_vars["src_file"]).stem
