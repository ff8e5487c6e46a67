"""The page of the tour: the script is run while the site is built, and shown with what it made."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util import logging
from staging import write_if_new

__all__ = ["setup"]

logger = logging.getLogger(__name__)
COMMAND = ("-m", "examples.tour", "--quick", "--out", "figures")
PAGE = """# The tour

`make demo` runs it: one family after another, on data that need no download. What follows was
printed, and drawn, while this site was built, with fewer steps than `make demo` takes
(`python {command}`).

```{{image}} /tour/figures/contact_sheet.png
:alt: One picture of each family of models
:class: paper
```

```text
{printed}
```
"""


def write_page(app: Sphinx) -> None:
    """Run the tour, unless the page is newer than all of its chapters."""
    root, source = Path(app.confdir).parent, Path(app.srcdir)
    page, folder = source / "tour.md", source / "tour"
    chapters = [*root.glob("examples/tour*.py"), *root.glob("examples/tour*/*.py")]
    sheet = folder / "figures" / "contact_sheet.png"
    newest = max(path.stat().st_mtime for path in chapters)
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
    write_if_new(page, PAGE.format(command=" ".join(COMMAND), printed=ran.stdout.strip()))


def setup(app: Sphinx) -> dict[str, bool]:
    """Run it before pages are looked for."""
    app.connect("builder-inited", write_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
