"""Names in the text of pages lead to the reference: `GaussianMixture`, `inference.logspace`."""

from __future__ import annotations

import re
from collections import defaultdict

from api_pages import PACKAGES
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

__all__ = ["setup"]

NAME = re.compile(r"(\w+)((?:\.\w+)*)(?:\(.*\))?")


def target(code: str, homes: dict[str, list[str]]) -> str | None:
    """Full path of what a piece of code names, if it is one public name.

    A plain word that only a module exports is left alone: it may as well be an argument.
    """
    found = NAME.fullmatch(code)
    if found is None:
        return None
    name, rest = found.groups()
    if name in PACKAGES:
        return name + rest if rest else None
    exported = [path for path in homes[name] if path.count(".") == 1]
    paths = exported or (homes[name] if "_" in name or name != name.lower() else [])
    return paths[0] + rest if len(paths) == 1 else None


def link_names(app: Sphinx, doctree: nodes.document) -> None:
    """Make the first mention in every section of a page a link."""
    page = app.env.docname
    if app.env.doc2path(page).suffix != ".md" or page.startswith("results/"):
        return
    homes: dict[str, list[str]] = defaultdict(list)
    for path in app.env.free_energy_names:
        homes[path.rpartition(".")[2]].append(path)
    seen = set()
    for literal in list(doctree.findall(nodes.literal)):
        path = target(literal.astext(), homes)
        section, parent = literal, literal.parent
        while section.parent is not None and not isinstance(section, nodes.section):
            section = section.parent
        linked = isinstance(parent, (nodes.reference, pending_xref, nodes.title))
        if path is None or linked or (id(section), path) in seen:
            continue
        seen.add((id(section), path))
        literal.replace_self(
            pending_xref(
                "",
                literal.deepcopy(),
                refdomain="py",
                reftype="obj",
                reftarget=path,
                refdoc=page,
                refexplicit=True,
                refwarn=False,
            )
        )


def setup(app: Sphinx) -> dict[str, bool]:
    """After a page is read, and before references are looked up."""
    app.connect("doctree-read", link_names)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
