"""Equations as MathML, made while the site is built: they need no script and no network.

.. math:: \\text{LaTeX} \\mapsto \\langle\\text{math}\\rangle
"""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, tostring

import ziamath
from docutils import nodes
from latex2mathml.converter import convert_to_element
from sphinx.application import Sphinx
from sphinx.util import logging

__all__ = ["setup", "to_mathml"]

logger = logging.getLogger(__name__)

#: What latex2mathml leaves of braces and the like, and of commands that it does not know.
ESCAPED, COMMAND = re.compile(r"\\([{}_#%&])"), re.compile(r"\\\w+")
ROWS, SCRIPTS = ("math", "mrow", "mstyle", "mtd"), ("msub", "msup", "msubsup", "munder", "mover")
CLOSING, BARS = set(")]}⟩⌋⌉!‖|"), set("‖|∣⟨")
#: Bars of norms and sizes; they take no space, and the size of letters.
RULES = ("|", "‖")
#: Operators whose index stands below them where there is room.
BELOW = ("max", "min", "sup", "inf", "lim")

SIGNS = ("+", "−", "±")


def to_mathml(latex: str, display: str) -> str:
    """An equation, displayed as "inline" or "block"."""
    if display == "block" and r"\\" in latex and r"\begin" not in latex:
        latex = rf"\begin{{aligned}}{latex}\end{{aligned}}"
    math = convert_to_element(latex, display=display)
    for element in math.iter():
        element.text = ESCAPED.sub(r"\1", unescape(element.text or ""))
        if element.tag == "mi" and element.text == "~":
            element.tag, element.text = "mo", "∼"
        if display == "block" and element.tag == "msub" and element[0].text in BELOW:
            element.tag = "munder"
        if element.tag == "mo" and element.text in RULES:
            element.attrib |= {"lspace": "0", "rspace": "0", "stretchy": "false"}
    for row in [element for element in math.iter() if element.tag in ROWS]:
        set_functions_apart(row)
    made = tostring(math, encoding="unicode")
    if unknown := COMMAND.findall(made):
        raise ValueError(f"what are {unknown}?")
    return made


def set_functions_apart(row: Element) -> None:
    """Thin spaces beside log, max and other names, as TeX has them."""
    spaced: list[Element] = []
    children = list(row)
    for place, child in enumerate(children):
        name = named(child)
        before = children[place - 1] if place else None
        after = children[place + 1] if place + 1 < len(children) else None
        if child.text in SIGNS and (before is None or not ordinary(before, CLOSING)):
            child.set("form", "prefix")
        if name is not None:
            name.attrib |= {"lspace": "0", "rspace": "0"} if name.tag == "mo" else {}
            if before is not None and (named(before) is None) and ordinary(before, CLOSING):
                spaced.append(thin())
        spaced.append(child)
        if name is not None and after is not None and ordinary(after, BARS):
            spaced.append(thin())
    row[:] = spaced


def named(element: Element) -> Element | None:
    """What holds the name of a function, with or without indices."""
    core = element[0] if element.tag in SCRIPTS and len(element) else element
    text = core.text or ""
    is_name = core.tag in ("mi", "mo") and len(text) > 1 and text.isascii() and text.isalpha()
    return core if is_name and "mathvariant" not in core.attrib else None


def ordinary(element: Element, delimiters: set[str]) -> bool:
    """Whether it is no operator, or one of these delimiters."""
    if element.tag == "mspace":
        return False
    core = element[0] if element.tag in SCRIPTS and len(element) else element
    is_sign = core.tag == "mo" and named(core) is None
    return not is_sign or (core.text or "") in delimiters


def thin() -> Element:
    """A thin space."""
    return Element("mspace", width="0.1667em")


def _inline(writer: Any, node: nodes.math) -> None:
    writer.body.append(f'<span class="math">{_converted(node, "inline")}</span>')
    raise nodes.SkipNode


def _block(writer: Any, node: nodes.math_block) -> None:
    writer.body.append(f'<div class="math">{_converted(node, "block")}</div>\n')
    raise nodes.SkipNode


def _converted(node: nodes.math | nodes.math_block, display: str) -> str:
    latex = node.astext().strip()
    try:
        return to_mathml(latex, display)
    except Exception as error:
        logger.warning("equation %r cannot be read: %r", latex, error, location=node)
        return latex


def _copy_font(app: Sphinx, exception: Exception | None) -> None:
    """Take the letters along: not every machine has mathematical ones."""
    fonts = Path(ziamath.__file__).parent / "fonts"
    target = app.outdir / "_static" / "math.ttf"
    if exception is None and app.builder.format == "html":
        target.write_bytes((fonts / "STIXTwoMath-Regular.ttf").read_bytes())


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    app.connect("build-finished", _copy_font)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
