"""What the site is built from: pages, examples and tables, copied to where they may be changed.

Pages link to files of the repository, so that they can be read there as well. In the site such a
link leads to the page that is made of the file.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from sections import SECTIONS, Section, heading, split_docstring

__all__ = ["stage"]

#: Pages that stand elsewhere in the repository.
ELSEWHERE = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
EXAMPLE_LINK = re.compile(r"\]\((?:\.\./)?examples/(\w+)(?:\.py|/[\w.]*)?\)")
PAGE_LINK = re.compile(r"\]\((?:\.\./|docs/)?(README|CONTRIBUTING|CHANGELOG)\.md(#[\w-]*)?\)")
RESULT_LINK = re.compile(r"\]\((?:\.\./)?benchmarks/results/([\w/.-]+)\)")


def stage(root: Path, target: Path) -> None:
    """Copy what is new or has changed, remove what is gone."""
    docs = root / "docs"
    texts = {target / p.relative_to(docs): p for p in [*docs.rglob("*.md"), *docs.rglob("*.rst")]}
    texts |= {target / name: root / source for source, name in ELSEWHERE.items()}
    made = {path: in_site(page.read_text(encoding="utf-8")) for path, page in texts.items()}
    made |= results(root / "benchmarks" / "results", target / "results")
    examples = target / "examples"
    made[examples / "GALLERY_HEADER.rst"] = gallery_header()
    for section in SECTIONS:
        folder = examples / section.folder
        made[folder / "GALLERY_HEADER.rst"] = heading(section.title, "-") + section.text + "\n"
        for name in section.examples:
            source = root / "examples" / f"{name}.py"
            made[folder / source.name] = titled(source.read_text(encoding="utf-8"))
    pages = [*target.glob("*.md"), *target.glob("results/**/*.md")]
    stale = {p for p in [*pages, *examples.rglob("*.py")] if p not in made}
    for path in stale:
        path.unlink()
    for path, text in made.items():
        write_if_new(path, text)
    for picture in (root / "benchmarks" / "results").glob("*/*.png"):
        shutil.copy(picture, target / "results" / picture.parent.name)
    shutil.copy(root / "LICENSE", target)


def write_if_new(path: Path, text: str) -> None:
    """Write, unless it stands there already: what has not changed is not built again."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def in_site(text: str) -> str:
    """A page with links to examples and to pages of the root as links within the site."""
    folders = {name: section.folder for section in SECTIONS for name in section.examples}

    def example(link: re.Match[str]) -> str:
        name = link[1]
        page = f"gallery/{folders[name]}/{name}.rst" if name in folders else "tour.md"
        return f"](/{page})" if name in folders or name == "tour" else link[0]

    def page(link: re.Match[str]) -> str:
        name = "index" if link[1] == "README" else link[1].lower()
        return f"](/{name}.md{link[2] or ''})"

    def result(link: re.Match[str]) -> str:
        return f"](/results/{link[1].replace('README', 'index')})"

    return RESULT_LINK.sub(result, PAGE_LINK.sub(page, EXAMPLE_LINK.sub(example, text)))


def results(source: Path, target: Path) -> dict[Path, str]:
    """Tables of the benchmark, with the setting in their titles, and the list of all."""
    made = {}
    for table in source.glob("*/*.md"):
        device, _, number = table.parent.name.partition("-")
        threads = f"{number} thread{'' if number == '1' else 's'}"
        setting = threads if device == "cpu" else device.upper()
        title, _, rest = table.read_text(encoding="utf-8").partition("\n")
        made[target / table.parent.name / table.name] = f"{title} ({setting})\n{rest}"
    listed = (source / "README.md").read_text(encoding="utf-8")
    made[target / "index.md"] = f"{listed}\n```{{toctree}}\n:hidden:\n:glob:\n\n*/*\n```\n"
    return made


def gallery_header() -> str:
    """The top of the gallery."""
    return heading("Gallery", "=") + (
        "Every picture and every line of output here was made while this site was built. "
        "The scripts are in the folder ``examples``; each saves its figure.\n"
    )


def titled(source: str) -> str:
    """A script whose docstring begins with a title, as the gallery wants it."""
    title, lead, rest = split_docstring(source)
    start, end = source.index('"""'), source.index('"""', 3)
    docstring = f'r"""\n{heading(title, "=")}{lead}\n{rest}\n'
    return source[:start].removesuffix("r") + docstring + source[end:]


def _check(section: Section) -> None:
    """Names of folders are part of addresses."""
    if not re.fullmatch(r"[a-z_]+", section.folder):
        raise ValueError(
            f"folder {section.folder!r} of section {section.title!r} is no plain name"
        )


for _section in SECTIONS:
    _check(_section)
