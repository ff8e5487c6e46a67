"""Links between a name's source and its page: one per name, however many paths lead to it.

Sphinx's viewcode takes one path per module for the links back, and follows names to the sources of
other libraries; both are put right here.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

from api_pages import PACKAGES
from docutils import nodes
from sphinx.addnodes import desc_signature
from sphinx.application import Sphinx

__all__ = ["setup"]


def source_module(app: Sphinx, module: str, path: str) -> str:
    """The module whose file defines a name; of what is no class or function, the one described."""
    thing: Any = importlib.import_module(module)
    for part in path.split("."):
        thing = getattr(thing, part, None)
    defined = getattr(thing, "__module__", None) or module
    return defined if defined.partition(".")[0] in PACKAGES else module


def mark_by_source(app: Sphinx, doctree: nodes.document) -> None:
    """Give every description a second address, that of its source."""
    for signature in doctree.findall(desc_signature):
        module, path = signature.get("module"), signature.get("fullname")
        if module and path and module.partition(".")[0] in PACKAGES:
            address = f"{source_module(app, module, path)}.{path}"
            if address not in signature["ids"]:
                signature["ids"].append(address)


def lead_back(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Let the links back use these addresses; makes no page of its own."""
    found = getattr(app.env, "_viewcode_modules", {})
    for module, entry in found.items():
        if entry:
            found[module] = (*entry[:3], module)
    return iter(())


def setup(app: Sphinx) -> dict[str, bool]:
    """Before viewcode writes its pages."""
    app.connect("viewcode-follow-imported", source_module)
    app.connect("doctree-read", mark_by_source)
    app.connect("html-collect-pages", lead_back, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
