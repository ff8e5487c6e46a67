"""The Python blocks of the documents run as they stand, in order, in one namespace each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/index.md",
    "docs/conventions.md",
    "docs/which_inference.md",
    "docs/bayesian_networks.md",
    "docs/random_fields.md",
    "docs/sequences.md",
    "docs/mixtures.md",
    "docs/memories.md",
    "docs/magnets.md",
    "docs/machines.md",
    "docs/generative.md",
    "docs/sampling.md",
    "docs/parallel.md",
    "docs/numerics.md",
    "docs/corrections.md",
)


def run_blocks(text: str, name: str) -> dict[str, Any]:
    """Run every block; line numbers in a traceback are those of the document."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for block in BLOCK.finditer(text):
        lines_before = text.count("\n", 0, block.start(1))
        code = compile("\n" * lines_before + block[1], name, "exec", dont_inherit=True)
        exec(code, namespace)
    return namespace


@pytest.mark.parametrize("document", DOCUMENTS)
def test_blocks_run(
    document: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = run_blocks((root / document).read_text(encoding="utf-8"), document)
    if document == "README.md":
        assert found["posterior"]["disease"].tolist() == pytest.approx([0.5, 0.5], abs=1e-12)


def test_runner_reports_the_line_of_the_document() -> None:
    text = "# Title\n\n```python\nx = 1\n```\n\n```python\nassert x == 2\n```\n"
    with pytest.raises(AssertionError) as caught:
        run_blocks(text, "document")
    assert caught.traceback[-1].lineno == 7
