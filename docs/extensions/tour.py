"""The page of the tour: the script is run while the site is built, and shown with what it made."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util import logging
from staging import write_if_new

__all__ = ["setup"]

logger = logging.getLogger(__name__)
COMMAND = ("-m", "examples.tour", "--out", "figures")
SHEET = "contact_sheet.png"
PAGE = """# The tour

`make demo` runs it: one family after another, on data that need no download. What follows was
printed, and drawn, while this site was built.

{picture}
{chapters}"""
PICTURE = """```{{image}} /tour/figures/{name}
:alt: {alt}
:class: paper
```
"""
CHAPTER = re.compile(r"^(\d+\. .+)\n-+$", re.MULTILINE)
FIGURE = re.compile(r"^ *-> figures/(\w+\.png)$", re.MULTILINE)


def chapters(printed: str) -> str:
    """What was printed as sections, with the figures where they are named."""
    parts = []
    _, *pieces = CHAPTER.split(printed)
    for title, told in zip(pieces[::2], pieces[1::2], strict=True):
        if SHEET in told:  # the last: it is at the top of the page
            continue
        parts.append(f"## {title}\n")
        for place, piece in enumerate(FIGURE.split(told)):
            if place % 2:
                parts.append(PICTURE.format(name=piece, alt=title))
            elif piece.strip():
                text = dedent(piece.strip("\n")).rstrip()
                parts.append(f"```text\n{text}\n```\n")
    return "\n".join(parts)


def write_page(app: Sphinx) -> None:
    """Run the tour, unless the page is newer than all of its chapters."""
    root, source = Path(app.confdir).parent, Path(app.srcdir)
    page, folder = source / "tour.md", source / "tour"
    sources = [*root.glob("examples/tour/*.py"), Path(__file__)]
    sheet = folder / "figures" / SHEET
    newest = max(path.stat().st_mtime for path in sources)
    if page.is_file() and sheet.is_file() and page.stat().st_mtime > newest:
        return
    logger.info("running the tour...")
    folder.mkdir(exist_ok=True)
    environment = os.environ | {"PYTHONPATH": str(root), "PYTHONWARNINGS": "default"}
    ran = subprocess.run(
        [sys.executable, *COMMAND], cwd=folder, env=environment, capture_output=True, text=True
    )
    if ran.returncode or not sheet.is_file():
        raise ExtensionError(f"the tour made no contact sheet:\n{ran.stdout}\n{ran.stderr}")
    picture = PICTURE.format(name=SHEET, alt="One picture of each family of models")
    told = chapters(ran.stdout)
    write_if_new(page, PAGE.format(picture=picture, chapters=told))


def setup(app: Sphinx) -> dict[str, bool]:
    """Run it before pages are looked for."""
    app.connect("builder-inited", write_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
