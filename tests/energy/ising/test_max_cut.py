"""Files of graphs to be cut: read, and refused with the line that is wrong."""

from __future__ import annotations

import pytest

from energy.ising.max_cut import read_max_cut


@pytest.fixture
def written(tmp_path):
    def write(text: str):
        path = tmp_path / "graph.txt"
        path.write_text(text)
        return path

    return write


def test_weights_may_be_missing_and_blank_lines_follow(written):
    n, edges, weights = read_max_cut(written("3 2\n1 2 -1\n2 3\n\n\n"))
    assert n == 3
    assert edges.tolist() == [[0, 1], [1, 2]]
    assert weights.tolist() == [-1.0, 1.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1"),
        ("three 2\n", "line 1"),
        ("0 0\n", "line 1"),
        ("3 2\n1 2 1\n", "2 edges were announced, found 1"),
        ("3 1\n1 4 1\n", "line 2: vertices must be 1 to 3"),
        ("3 1\n0 1 1\n", "line 2: vertices"),
        ("3 1\n1 2 nan\n", "line 2: vertices"),
        ("3 2\n1 2 1\n1 x 1\n", "line 3: expected two vertices"),
        ("3 1\n1 2 1 1\n", "line 2: expected two vertices"),
    ],
)
def test_bad_files_are_refused(written, text, message):
    with pytest.raises(ValueError, match=message):
        read_max_cut(written(text))
    with pytest.raises(FileNotFoundError):
        read_max_cut("no such file")


def test_published_graphs(shared):
    """Size and total weight of a graph of the G-set."""
    n, edges, weights = read_max_cut(shared / "data" / "gset" / "G1.txt")
    assert (n, len(edges), weights.sum()) == (800, 19176, 19176.0)
