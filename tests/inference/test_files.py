"""Tests of atomic_write."""

from pathlib import Path

import pytest

from inference.files import atomic_write


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_replaces_the_file_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with atomic_write(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == tmp_path
    assert path.read_text() == "new"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_failure_leaves_the_old_file_alone(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(error), atomic_write(path) as temporary:
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_block_that_writes_nothing_fails(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "file"):
        pass
    assert names(tmp_path) == []


def test_missing_folder_is_named_before_the_block_runs(tmp_path: Path) -> None:
    with (
        pytest.raises(FileNotFoundError, match=r"nowhere.file: its folder does not exist"),
        atomic_write(tmp_path / "nowhere" / "file"),
    ):
        raise AssertionError("the block must not run")


def test_symbolic_link_stays_a_link(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.write_text("old")
    link = tmp_path / "link"
    link.symlink_to(real)
    with atomic_write(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert real.read_text() == "new"


def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    with atomic_write(tmp_path / "atomic") as temporary:
        temporary.write_text("")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("character", ["n", "\u03b8", "\u6f22", "\U0001f600"])
def test_longest_name_is_writable(tmp_path: Path, character: str) -> None:
    path = tmp_path / (character * (255 // len(character.encode())))
    with atomic_write(path) as temporary:
        temporary.write_text("")
    assert path.exists()
