"""The import rules: dependency order is reading order, heavy packages come late, no pickle.

Each rule is a function from a source text to its breaches, so that it can be shown to reject.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

MODELS = ("energy", "generative", "pgm")
PACKAGES = ("inference", *MODELS)

# The parts of `inference` in reading order. A part imports from its own line and those above;
# a new part is given its place here.
READING_ORDER = (
    (
        "arrays",
        "convergence",
        "files",
        "inputs",
        "logspace",
        "memory",
        "palette",
        "progress",
        "random",
    ),
    ("parallel", "pictures", "rows", "tensor_files"),
    ("gaussian", "information", "transport"),
    ("model",),
    ("exact",),
    ("approximate", "diagnostics"),
    ("sampling",),
    ("learning",),
    ("plot",),
)
RANK = {part: rank for rank, parts in enumerate(READING_ORDER) for part in parts}

# Imported inside the functions that need them, so that `import pgm` stays light.
LATE = ("arviz", "arviz_base", "arviz_stats", "matplotlib", "networkx", "pandas", "pyro")
LATE += ("scipy", "sklearn")

# A file is data: nothing that can run code from one, or write such a file.
PICKLERS = ("cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve")
PICKLING_CALLS = ("torch.load", "torch.save")


def imports(tree: ast.AST, module: str, *, is_package: bool) -> Iterator[str]:
    """Dotted names that any statement of a module imports, relative ones resolved."""
    here = module.split(".")
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + is_package] if node.level else []
            source = [*base, *(node.module.split(".") if node.module else [])]
            yield from (".".join([*source, alias.name]) for alias in node.names)


def run_on_import(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Import statements that are run when a module is imported, or may be."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        yield node
    children = ast.iter_child_nodes(node)
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        return
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        children = iter(node.orelse)
    for child in children:
        yield from run_on_import(child)


def order_breaches(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """Imports of a module that go against the reading order."""
    package, *rest = module.split(".")
    own = rest[0] if rest else None
    breaches = []
    for name in imports(ast.parse(source), module, is_package=is_package):
        target, *target_rest = name.split(".")
        part = target_rest[0] if target_rest else None
        if target in MODELS and target != package:
            breaches.append(f"{module} imports {name}: model packages are leaves")
        elif package == target == "inference" and own is not None:
            if own not in RANK:
                breaches.append(f"{module}: give {own} its place in READING_ORDER")
            elif part not in RANK:
                breaches.append(f"{module} imports {name}: import from the part that defines it")
            elif RANK[part] > RANK[own]:
                breaches.append(f"{module} imports {name}: {part} is read after {own}")
    return breaches


def late_breaches(source: str, module: str) -> list[str]:
    """Imports of heavy packages that are run when the module is imported."""
    return [
        f"{module} imports {name} at its top: import it where it is used"
        for statement in run_on_import(ast.parse(source))
        for name in imports(statement, module, is_package=False)
        if name.split(".")[0] in LATE
    ]


def pickle_breaches(source: str, module: str) -> list[str]:
    """Uses of pickle in any disguise, anywhere in a module."""
    tree = ast.parse(source)
    found = [
        name
        for name in imports(tree, module, is_package=False)
        if name.split(".")[0] in PICKLERS or name in PICKLING_CALLS
    ]
    found += [
        ast.unparse(node)
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and ast.unparse(node) in PICKLING_CALLS)
        or (isinstance(node, ast.keyword) and ast.unparse(node).startswith("allow_pickle"))
    ]
    return [f"{module} uses {name}: files hold plain data only" for name in found]


def modules(root: Path, packages: tuple[str, ...] = PACKAGES) -> Iterator[tuple[str, Path]]:
    """Dotted name and path of every module of the packages."""
    for package in packages:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def test_dependency_order_is_reading_order(root: Path) -> None:
    breaches = [
        breach
        for module, path in modules(root)
        for breach in order_breaches(
            path.read_text(encoding="utf-8"), module, is_package=path.name == "__init__.py"
        )
    ]
    assert not breaches, "\n".join(breaches)


def test_heavy_packages_are_imported_late(root: Path) -> None:
    breaches = [
        breach
        for module, path in modules(root)
        for breach in late_breaches(path.read_text(encoding="utf-8"), module)
    ]
    assert not breaches, "\n".join(breaches)


def test_nothing_is_pickled(root: Path) -> None:
    breaches = [
        breach
        for module, path in modules(root, (*PACKAGES, "benchmarks", "examples"))
        for breach in pickle_breaches(path.read_text(encoding="utf-8"), module)
    ]
    assert not breaches, "\n".join(breaches)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("pgm.mixture", "import energy"),
        ("energy.rbm", "from generative import networks"),
        ("generative.vae", "def f():\n    from pgm.mixture import GaussianMixture"),
        ("inference.model", "from pgm import BayesianNetwork"),
        ("inference.model", "from ..energy import base"),
        ("inference", "import pgm.formats"),
        ("inference.logspace", "from inference.exact.factor import Factor"),
        ("inference.exact.factor", "from ..sampling import gibbs"),
        ("inference.sampling.gibbs", "import inference.learning.em"),
        ("inference.exact.factor", "from inference import Factor"),
        ("inference.exact.factor", "import inference"),
        ("inference.novelty", "from inference.logspace import logsumexp"),
    ],
)
def test_wrong_order_is_rejected(module: str, source: str) -> None:
    assert order_breaches(source, module)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("pgm.mixture", "from pgm.naive_bayes import NaiveBayes\nfrom inference import Factor"),
        ("pgm.mixture", "from . import naive_bayes"),
        ("inference", "from inference.learning.em import fit_em"),
        ("inference.random", "from inference.logspace import logsumexp"),
        ("inference.sampling.gibbs", "from ..exact.factor import Factor\nimport torch"),
        ("inference.exact.factor", "from . import graph"),
    ],
)
def test_right_order_is_accepted(module: str, source: str) -> None:
    assert not order_breaches(source, module)


def test_relative_imports_of_a_package_start_at_itself() -> None:
    assert not order_breaches("from .logspace import x", "inference", is_package=True)
    assert not order_breaches("from . import factor", "inference.exact", is_package=True)
    assert order_breaches("from ..plot import trace", "inference.exact", is_package=True)


@pytest.mark.parametrize(
    "source",
    [
        "import pandas as pd",
        "from scipy.optimize import minimize",
        "import os, matplotlib.pyplot",
        "try:\n    import sklearn\nexcept ImportError:\n    sklearn = None",
        "class A:\n    import networkx",
        "if TYPE_CHECKING:\n    pass\nelse:\n    import pyro",
    ],
)
def test_early_import_is_rejected(source: str) -> None:
    assert late_breaches(source, "pgm.mixture")


@pytest.mark.parametrize(
    "source",
    [
        "import numpy\nimport torch",
        "def f():\n    import pandas",
        "class A:\n    def f(self):\n        import networkx",
        "if TYPE_CHECKING:\n    import pandas",
        "if typing.TYPE_CHECKING:\n    from pyro.infer import MCMC",
    ],
)
def test_late_import_is_accepted(source: str) -> None:
    assert not late_breaches(source, "pgm.mixture")


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "def f():\n    from joblib import dump",
        "import torch\ntorch.save({}, 'x')",
        "from torch import load",
        "reader = torch.load",
        "numpy.load('x', allow_pickle=True)",
        "numpy.save('x', array, allow_pickle=flag)",
    ],
)
def test_pickle_is_rejected(source: str) -> None:
    assert pickle_breaches(source, "pgm.mixture")


@pytest.mark.parametrize("source", ["model.load('x')", "from numpy import load"])
def test_plain_loading_is_accepted(source: str) -> None:
    assert not pickle_breaches(source, "pgm.mixture")
