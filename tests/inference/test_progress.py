"""Progress bars: seen on a terminal, silent elsewhere, never in the way of the work."""

from __future__ import annotations

import io
import sys

import pytest

from inference.progress import progress_bar


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def work(progress: bool | None, total: int | None = 3) -> int:
    """Three steps under a bar."""
    done = 0
    with progress_bar(total, "climbing", progress) as bar:
        for step in range(3):
            bar.update(1)
            bar.set_postfix_str(f"height {step}")
            done += 1
    return done


@pytest.mark.parametrize("total", [3, None])
@pytest.mark.parametrize(
    ("terminal", "progress", "shown"),
    [
        (True, None, True),
        (True, True, True),
        (True, False, False),
        (False, None, False),
        (False, True, True),
        (False, False, False),
    ],
)
def test_who_sees_the_bar(monkeypatch, terminal, progress, shown, total):
    stream = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    assert work(progress, total) == 3, "the work is done either way"
    text = stream.getvalue()
    assert ("climbing" in text) is shown
    assert ("height" in text) is shown
    assert bool(text) is shown


def test_nothing_goes_to_the_standard_output(capsys):
    work(True)
    captured = capsys.readouterr()
    assert captured.out == "" and "climbing" in captured.err


def test_an_error_inside_passes_through():
    with pytest.raises(KeyError, match="lost"), progress_bar(3, "climbing", False):
        raise KeyError("lost")


@pytest.mark.parametrize("progress", ["yes", 1, 0, 0.5, [True]])
def test_other_kinds_are_refused(progress):
    with pytest.raises(TypeError, match="progress"):
        progress_bar(3, "climbing", progress)
