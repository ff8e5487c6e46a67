"""Files of what was measured: JSON and a Markdown table per section, and a list of them all.

A folder per device and number of threads, ``cpu-1/spins.json``, ``cpu-1/spins.md``; the Markdown
is made from the JSON alone.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.headlines import headlines
from benchmarks.report import Column, Row, cell

__all__ = ["index", "page", "written"]

Content = dict[str, Any]

MADE = "<!-- Written by `python -m benchmarks`; a new run replaces it. -->"


def written(
    folder: Path, content: Content, figure: Callable[[Sequence[Row], Path], None] | None = None
) -> None:
    """Replace the files of one section, each at once, and the list of all.

    Arguments:
        folder: of all results.
        content: what was measured, as the JSON file holds it.
        figure: draws the rows into a file.
    """
    about, name = content["machine"], content["section"]
    kind = "cpu" if about["device"] == "cpu" else "cuda"
    place = folder / f"{kind}-{about['threads']}"
    place.mkdir(parents=True, exist_ok=True)
    if figure is not None:
        with tempfile.TemporaryDirectory(dir=place) as scratch:
            drawn = Path(scratch) / f"{name}.png"
            figure(content["rows"], drawn)
            os.replace(drawn, place / drawn.name)
    text = json.dumps(_plain(content), indent=1, allow_nan=False)
    _replace(place / f"{name}.json", text + "\n")
    _replace(place / f"{name}.md", page(content, f"{name}.png" if figure else None))
    _replace(folder / "README.md", index(folder))


def _plain(value: Any) -> Any:
    """What JSON can say: numbers that are not finite as words."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _replace(path: Path, text: str) -> None:
    """Write beside the old file, then take its place."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)


# One section -------------------------------------------------------------------------------------


def page(content: Content, picture: str | None = None) -> str:
    """A section as Markdown: what is measured, on what, the table and the verdicts."""
    columns = [Column(**column) for column in content["columns"]]
    rows: list[Row] = content["rows"]
    # A column without a single entry says nothing.
    shown = [c for c in columns if any(row.get(c.key) not in (None, "") for row in rows)]
    lines = [f"# {content['title']}", "", MADE, "", *_machine(content), ""]
    lines += ["```text", *content["notes"], "```", ""]
    if picture is not None:
        lines += [f"![{content['title']}]({picture})", ""]
    lines += _table(
        [c.head for c in shown],
        [[cell(row.get(c.key), c) for c in shown] for row in rows],
        [c.width < 0 for c in shown],
    )
    return "\n".join([*lines, "", _verdicts(rows), ""])


def _machine(content: Content) -> list[str]:
    """On what, when and how it was measured."""
    about, asked = content["machine"], content["arguments"]
    versions = [f"{name} {version}" for name, version in about["versions"].items() if version]
    absent = [name for name, version in about["versions"].items() if not version]
    where = about["processor"] if about["device"] == "cpu" else about["device"]
    lines = [
        f"{where}, {about['cores']} cores, threads in use: {about['threads']}; {content['date']}; "
        f"Python {about['python']}, {', '.join(versions)}"
        + (f" (absent: {', '.join(absent)})" if absent else "")
        + f". Load average beforehand {about.get('load_average', float('nan')):.2f}.",
        "",
        f"Medians of up to {asked['repeats']} samples in {asked['budget']:g} s per cell, "
        "contenders in turns; spread: from the lower to the upper quartile, as a share of the "
        f"median. The section took {content['seconds']:.0f} s.",
    ]
    if content["rates"]:
        copy, single, double = (content["rates"][k] / 1e9 for k in ("copy", "float32", "float64"))
        lines += [
            "",
            f"Roofs in this run: copy {copy:.1f} GB/s, products of matrices {single:.1f} GFLOP/s "
            f"in single and {double:.1f} in double precision.",
        ]
    return lines


def _verdicts(rows: Sequence[Row]) -> str:
    judged = [row["verdict"] for row in rows if row.get("verdict")]
    if not judged:
        return "No targets."
    return f"{judged.count('ok')} of {len(judged)} rows meet their targets."


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[bool]) -> list[str]:
    """A Markdown table; its text columns align to the left."""
    marks = [":--" if to_the_left else "--:" for to_the_left in left]
    lines = [[head or " " for head in heads], marks, *rows]
    return ["| " + " | ".join(part.replace("|", "\\|") for part in row) + " |" for row in lines]


# All sections ------------------------------------------------------------------------------------


def index(folder: Path) -> str:
    """A list of what is there: sections by folder, their verdicts, and all that misses."""
    lines = ["# What was measured", "", MADE, ""]
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        contents = [json.loads(path.read_text("utf-8")) for path in sorted(place.glob("*.json"))]
        if contents:
            lines += [f"## {_setting(contents[0])}", "", *_in_short(contents)]
            lines += [*_sections(place.name, contents), ""]
            lines += _missed(place.name, contents)
    return "\n".join(lines)


def _setting(content: Content) -> str:
    about = content["machine"]
    number, device = about["threads"], about["device"]
    words = "one thread" if number == 1 else f"{number} threads"
    return f"{'CPU' if device == 'cpu' else device}, {words}"


def _in_short(contents: Sequence[Content]) -> Iterator[str]:
    """How much faster than others, over the rows of a section."""
    rows = headlines(contents)
    if rows:
        yield from _table(["task", "beside", "times as fast"], rows, [True, True, False])
        yield ""


def _sections(place: str, contents: Sequence[Content]) -> list[str]:
    """A row per section."""
    rows = []
    for content in contents:
        verdicts = [row.get("verdict", "") for row in content["rows"]]
        counts = [sum(v.startswith(word) for v in verdicts) for word in ("ok", "MISS", "WRONG")]
        link = f"[{content['title']}]({place}/{content['section']}.md)"
        about = content["machine"]
        where = f"{about['processor']}, {about['cores']} cores, torch {about['versions']['torch']}"
        numbers = [f"{content['seconds']:.0f}", str(len(verdicts)), *map(str, counts)]
        rows.append([link, content["date"], where, *numbers])
    heads = ["section", "date", "machine", "seconds", "rows", "ok", "MISS", "WRONG"]
    total = sum(content["seconds"] for content in contents) / 60
    left = [True, True, True, *[False] * 5]
    return [*_table(heads, rows, left), "", f"{total:.0f} minutes in all."]


def _missed(place: str, contents: Sequence[Content]) -> Iterator[str]:
    """Every row that does not meet its target."""
    rows = []
    for content in contents:
        for row in content["rows"]:
            if row.get("verdict") not in (None, "", "ok"):
                known = ("measured", "unit", "target", "peer", "ratio")
                parts = [cell(row.get(key), Column(key, "", 0)) for key in known]
                link = f"[{content['section']}]({place}/{content['section']}.md)"
                rows.append([link, row["what"], row["verdict"], *parts])
    if rows:
        heads = ["section", "row", "", "measured", "unit", "target", "peer", "ours/peer"]
        left = [True, True, True, False, True, False, False, False]
        yield from [*_table(heads, rows, left), ""]
