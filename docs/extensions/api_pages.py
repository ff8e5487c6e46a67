"""Pages of the reference: one per public name, and one per module for what is left in it.

A name that several modules export is described once, where its path is shortest: at the package.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import GenericAlias, ModuleType
from typing import Any

from docutils import nodes
from sections import heading
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.domains.python import PyObject
from staging import write_if_new

__all__ = ["setup"]

PACKAGES = ("pgm", "energy", "generative", "inference")
#: Bases whose members are not repeated: those of PyTorch and of Python.
FOREIGN = "Module, tuple, dict, list, Exception, UserWarning, Warning, ABC, Protocol, Function"


#: Shapes in a section of shapes, shapes with an event anywhere, and where either is code already.
INSIDE = r"(?:[^()`]|\([^()`]*\))*"
SHAPE = re.compile(rf"(?<![\w`])\((?:{INSIDE}[,*.]{INSIDE})?\)")
EVENT = re.compile(rf"(?<![\w`])\({INSIDE}\*\w{INSIDE}\)")
CODE = re.compile(r"(``.+?``|`[^`]+`)")
HEADING = re.compile(r"[A-Z]\w+:$")
ALIAS = re.compile(r"TypeAliasForwardRef\('(?:\w+\.)*(\w+)'\)")
#: Defaults that have no text, and what would be taken for an item of a list: "n: K."
NO_TEXT, ITEM = re.compile(r"<[^<>]*>"), re.compile(r"^(|\s+[^:]+: )([A-Za-z]\.)(?=\s|$)")
LABELS = {"parameter": "Arguments", "variable": "Attributes"}
#: Stands for a colon for a while; of no meaning anywhere.
COLON = "\ue000"


def modules(package: str) -> Iterator[ModuleType]:
    """The package and all its public modules."""
    root = importlib.import_module(package)
    yield root
    for found in pkgutil.walk_packages(root.__path__, f"{package}."):
        if not any(part.startswith("_") for part in found.name.split(".")):
            yield importlib.import_module(found.name)


def homes(found: list[ModuleType]) -> dict[str, list[str]]:
    """Names described in every module, in the order of its list."""
    paths: dict[tuple[str, int], str] = {}
    for module in sorted(found, key=lambda m: (m.__name__.count("."), m.__name__)):
        for name in getattr(module, "__all__", ()):
            paths.setdefault((name, id(getattr(module, name))), module.__name__)
    owned = defaultdict(list)
    for (name, _), module in paths.items():
        owned[module].append(name)
    return owned


def directive(path: str, thing: object) -> str:
    """What describes a name."""
    if inspect.isclass(thing) and not isinstance(thing, GenericAlias):
        return f".. autoclass:: {path}\n   :members:\n   :inherited-members: {FOREIGN}\n"
    if not isinstance(thing, GenericAlias) and inspect.isroutine(inspect.unwrap(thing)):
        return f".. autofunction:: {path}\n"
    return f".. autodata:: {path}\n   :no-value:\n"


def name_page(path: str, thing: object) -> str:
    """Page of a public name, with the examples that use it."""
    examples = f".. minigallery:: {path}\n   :add-heading: Examples\n   :heading-level: -\n"
    return f"{heading(path.rpartition('.')[2], '=')}{directive(path, thing)}\n{examples}"


def module_page(module: ModuleType, names: list[str], clash: bool) -> str:
    """Page of a module: what it says of itself, then its names."""
    path = module.__name__
    parts = [heading(path, "="), f".. py:module:: {path}\n"]
    if clash:  # with a function of the same name, exported by its folder
        parts[-1] += "   :no-index:\n"
    parts.append(f".. automodule:: {path}\n   :no-index:\n")
    parts += [directive(f"{path}.{name}", getattr(module, name)) for name in names]
    return "\n".join(parts)


def package_page(package: str, found: list[ModuleType], owned: dict[str, list[str]]) -> str:
    """List of all modules of a package by folder."""
    folders = defaultdict(list)
    for module in found:
        if owned.get(module.__name__):
            is_folder = hasattr(module, "__path__")
            name = module.__name__
            folders[name if is_folder else name.rpartition(".")[0]].append(module)
    parts = [heading(f"All modules of {package}", "=")]
    parts.append("What stands in a file of its own, and is not exported by the package.\n")
    for folder in sorted(folders):
        parts.append(heading(folder, "-"))
        first = [(m.__doc__ or "").strip().splitlines()[0] for m in folders[folder]]
        parts += [
            f":doc:`{m.__name__}`\n    {line}"
            for m, line in zip(folders[folder], first, strict=True)
        ]
        parts.append("")
    names = [m.__name__ for ms in folders.values() for m in ms]
    listed = "\n".join(f"   {name.partition('.')[2]} <{name}>" for name in names)
    parts.append(f".. toctree::\n   :hidden:\n\n{listed}\n")
    return "\n".join(parts)


def write_pages(app: Sphinx) -> None:
    """Write them all; those of earlier builds that are gone are removed."""
    found = {package: list(modules(package)) for package in PACKAGES}
    owned = homes([module for ms in found.values() for module in ms])
    api = Path(app.srcdir) / "api"
    pages = {}
    paths = {f"{module}.{name}" for module, names in owned.items() for name in names}
    app.env.free_energy_names = sorted(paths)
    for package, contents in found.items():
        root, *inner = contents
        for name in owned.pop(package):
            path = f"{package}.{name}"
            pages[api / "names" / f"{path}.rst"] = name_page(path, getattr(root, name))
        for module in inner:
            if names := owned.get(module.__name__):
                page = api / "modules" / f"{module.__name__}.rst"
                pages[page] = module_page(module, names, module.__name__ in paths)
        pages[api / "modules" / f"all_{package}.rst"] = package_page(package, inner, owned)
    for path in {*api.glob("names/*.rst"), *api.glob("modules/*.rst")} - pages.keys():
        path.unlink()
    for path, text in pages.items():
        write_if_new(path, text)


def skip_member(
    app: Sphinx, what: str, name: str, thing: Any, skip: bool, options: Any
) -> bool | None:
    """Leave out what only PyTorch calls, and fields of named tuples: they are listed already."""
    return True if name == "extra_repr" or type(thing).__name__ == "_tuplegetter" else None


def shapes_as_code(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """Set shapes as code; a constant is not described by the docstring of its type."""
    if what == "data" and " ".join(lines).split() == (thing.__doc__ or "").split():
        lines.clear()
    if what in ("attribute", "data", "property") and lines:
        lines[0] = lines[0].replace(":", COLON)  # else what stands before it is taken for a type
    section, equation = "", False
    for place, line in enumerate(lines):
        if line.strip() and not line.startswith(" "):
            section, equation = (line[:-1] if HEADING.match(line) else ""), False
        equation = line.lstrip().startswith(".. math::") or (equation and line.strip() != "")
        if not equation and section != "Example":
            pattern = SHAPE if section == "Shapes" else EVENT
            pieces = CODE.split(line)
            pieces[::2] = [pattern.sub(as_code, p) for p in pieces[::2]]
            lines[place] = ITEM.sub(r"\1\\\2", "".join(pieces))


def as_code(shape: re.Match[str]) -> str:
    """A shape as code, in which a star needs no protection."""
    return f"``{shape[0]}``".replace("\\*", "*")


def colons(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Put back the colons that were hidden."""
    lines[:] = [line.replace(COLON, ":") for line in lines]


def plain_aliases(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, given: str, returned: str
) -> tuple[str | None, str | None]:
    """Call aliases of types by their names, inside unions as well; leave out nameless defaults."""
    given = NO_TEXT.sub("...", given or "")
    return ALIAS.sub(r"\1", given) or None, ALIAS.sub(r"\1", returned or "") or None


def exact_references(app: Sphinx, doctree: nodes.document) -> None:
    """A name that several modules have is only looked for where it is used."""
    homes_of = Counter(name.rpartition(".")[2] for name in app.env.free_energy_names)
    for reference in doctree.findall(pending_xref):
        target = reference.get("reftarget", "")
        if "refspecific" in reference and homes_of[target] != 1:
            del reference["refspecific"]


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages before Sphinx looks for them; fields are called as in the docstrings."""
    for field in PyObject.doc_field_types:
        field.label = LABELS.get(field.name, field.label)
    app.connect("builder-inited", write_pages, priority=400)
    app.connect("autodoc-process-signature", plain_aliases)
    app.connect("doctree-read", exact_references)
    app.connect("autodoc-skip-member", skip_member)
    app.connect("autodoc-process-docstring", shapes_as_code, priority=300)
    app.connect("autodoc-process-docstring", colons, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
