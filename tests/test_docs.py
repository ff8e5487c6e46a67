"""The pages of the site hang together: examples, sections, tables of contents, the reference."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from inference.palette import AMBER, BLUE, INK

PACKAGES = ("energy", "generative", "inference", "pgm")
TOCTREE = re.compile(r"^```\{toctree\}\n(.*?)^```$|^\.\. toctree::\n(.*?)(?=^\S|\Z)", re.M | re.S)
#: Pages that are made while the site is built.
MADE = {"tour", "gallery/index", "results/index", "contributing", "changelog"}


@pytest.fixture(scope="module")
def sections(root: Path) -> ModuleType:
    """The module of the site that lists the gallery's sections."""
    path = root / "docs" / "extensions" / "sections.py"
    spec = importlib.util.spec_from_file_location("sections_of_the_gallery", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def scripts(root: Path) -> set[str]:
    """Examples that are run by themselves; the tour has a page of its own."""
    found = {path.stem for path in (root / "examples").glob("*.py") if "__main__" in read(path)}
    return {name for name in found if not name.startswith("tour")}


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def listed(text: str) -> list[str]:
    """Names in the tables of contents of a page."""
    blocks = [a or b for a, b in TOCTREE.findall(text)]
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith(":")]


def test_every_example_is_in_one_section(root: Path, sections: ModuleType) -> None:
    counts = Counter(name for section in sections.SECTIONS for name in section.examples)
    assert set(counts) == scripts(root)
    assert set(counts.values()) == {1}


def test_every_example_has_a_title(root: Path, sections: ModuleType) -> None:
    for name in scripts(root):
        title, lead, _ = sections.split_docstring(read(root / "examples" / f"{name}.py"))
        assert 5 <= len(title) <= 60, f"{name}: the title is {title!r}"
        assert lead[0].isupper() or not lead[0].isalpha(), f"{name}: {lead!r}"


def test_titles_differ(root: Path, sections: ModuleType) -> None:
    sources = [read(root / "examples" / f"{name}.py") for name in scripts(root)]
    titles = Counter(sections.split_docstring(source)[0] for source in sources)
    assert max(titles.values()) == 1


@pytest.mark.parametrize("first", ["No colon here.", "", "A title:without a space."])
def test_docstring_without_title_is_an_error(sections: ModuleType, first: str) -> None:
    with pytest.raises(ValueError, match=r"Title: what it shows"):
        sections.split_docstring(f'"""{first}"""\n')


def test_every_page_is_in_one_table_of_contents(root: Path) -> None:
    docs = root / "docs"
    pages = {p.relative_to(docs).with_suffix("").as_posix(): p for p in docs.glob("*.md")}
    pages |= {p.relative_to(docs).with_suffix("").as_posix(): p for p in docs.glob("api/*.rst")}
    counts: Counter[str] = Counter()
    for name, page in pages.items():
        folder = name.rpartition("/")[0]
        for entry in listed(read(page)):
            if "*" not in entry and not entry.startswith("modules/"):
                counts[f"{folder}/{entry}" if folder else entry] += 1
    assert set(counts) == (set(pages) - {"index"}) | MADE
    assert set(counts.values()) == {1}


def test_every_exported_name_is_in_the_reference(root: Path) -> None:
    for package in PACKAGES:
        tree = ast.parse(read(root / package / "__init__.py"))
        lists = [
            node.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets)
        ]
        exported = {f"{package}.{name}" for name in ast.literal_eval(lists[0])}
        page = read(root / "docs" / "api" / f"{package}.rst")
        named = set(re.findall(rf"~({package}\.\w+)$", page, re.MULTILINE))
        assert exported == {name for name in named if name.count(".") == 1}


def test_links_between_pages_lead_somewhere(root: Path) -> None:
    for page in (root / "docs").glob("*.md"):
        for link in re.findall(
            r"\]\(((?:\.\./)?[\w/-]+\.(?:md|py|png))(?:#[\w-]+)?\)", read(page)
        ):
            assert (page.parent / link).is_file(), f"{page.name}: {link}"


def test_measurements_are_pages_of_the_site(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(root / "docs" / "extensions"))
    staging = importlib.import_module("staging")
    made = staging.results(root / "benchmarks" / "results", tmp_path)
    titles = [text.partition("\n")[0] for text in made.values()]
    assert len(set(titles)) == len(titles) > 10
    links = []
    for page in (root / "docs").glob("*.md"):
        links += re.findall(r"\]\(/results/([\w/.-]+\.md)\)", staging.in_site(read(page)))
    assert len(links) > 10
    assert {tmp_path / link for link in links} <= made.keys()


def test_colours_of_the_site_are_those_of_the_pictures(root: Path) -> None:
    style = read(root / "docs" / "_static" / "style.css")
    assert {AMBER, BLUE, INK} <= set(re.findall(r"#[0-9a-f]{6}", style))
