"""Files by suffix: dispatch, compression, atomic writing and the checks before it."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pgm.formats import FormatError, NetworkTables, read_network, write_network

Same = Callable[[NetworkTables, NetworkTables], None]

SUFFIXES = [".bif", ".xmlbif", ".xml", ".bifxml", ".net", ".BIF"]


@pytest.mark.parametrize("compression", ["", ".gz"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_suffix(
    suffix: str, compression: str, wet: NetworkTables, tmp_path: Path, assert_same: Same
) -> None:
    path = tmp_path / f"some.net.work{suffix}{compression}"
    write_network(wet, str(path))
    assert_same(read_network(path), wet)
    assert (path.read_bytes()[:2] == b"\x1f\x8b") == bool(compression)
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("name", ["wet", "wet.txt", "wet.gz", "wet.txt.gz", ".bif", "wet.bif.zip"])
def test_unknown_suffixes_are_told_what_is_known(
    name: str, wet: NetworkTables, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"unknown suffix .*\.bif, .*\.net, \.uai, each"):
        read_network(tmp_path / name)
    with pytest.raises(ValueError, match="unknown suffix"):
        write_network(wet, tmp_path / name)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("suffix", [".bif", ".xmlbif", ".net", ".uai"])
def test_compressed_files_do_not_depend_on_time_and_place(
    suffix: str, wet: NetworkTables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_network(wet, tmp_path / f"a{suffix}.gz")
    monkeypatch.setattr("time.time", lambda: 1e9)
    write_network(wet, tmp_path / f"b{suffix}.gz")
    assert (tmp_path / f"a{suffix}.gz").read_bytes() == (tmp_path / f"b{suffix}.gz").read_bytes()


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    wet: NetworkTables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "wet.bif"
    path.write_text("old")
    with pytest.raises(ValueError, match="same keys"):
        write_network(replace(wet, parents={}), path)

    def refuse(*_: object) -> None:
        raise OSError("no")

    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(OSError, match="no"):
        write_network(wet, path)
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["wet.bif"]


def test_written_files_have_the_usual_permissions(wet: NetworkTables, tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    write_network(wet, tmp_path / "wet.bif")
    assert (tmp_path / "wet.bif").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_link_keeps_pointing_to_the_file(
    wet: NetworkTables, tmp_path: Path, assert_same: Same
) -> None:
    (tmp_path / "link.bif").symlink_to("wet.bif")
    write_network(wet, tmp_path / "link.bif")
    assert (tmp_path / "link.bif").is_symlink()
    assert_same(read_network(tmp_path / "wet.bif"), wet)


def test_broken_compression_is_a_format_error(wet: NetworkTables, tmp_path: Path) -> None:
    path = tmp_path / "wet.bif.gz"
    write_network(wet, path)
    whole = path.read_bytes()
    for data in (b"", whole[:-9], whole[:15], b"network wet { }", whole[:20] + b"\0" + whole[21:]):
        path.write_bytes(data)
        with pytest.raises(FormatError, match=r"^wet\.bif\.gz"):
            read_network(path)


def test_bytes_that_are_not_utf8_are_reported_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "wet.bif"
    path.write_bytes(b"network wet {\n}\nvariable \xe9 {")
    with pytest.raises(FormatError, match=r"^wet\.bif, line 3: expected UTF-8 text"):
        read_network(path)


def test_windows_files_are_read(wet: NetworkTables, tmp_path: Path, assert_same: Same) -> None:
    for suffix in (".bif", ".net", ".xmlbif"):
        path = tmp_path / f"wet{suffix}"
        write_network(wet, path)
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
        assert_same(read_network(path), wet)


def test_errors_carry_the_name_of_a_compressed_file_too(tmp_path: Path) -> None:
    path = tmp_path / "wet.bif.gz"
    path.write_bytes(gzip.compress(b"network wet {\n}\nvariables"))
    with pytest.raises(FormatError, match=r"^wet\.bif\.gz, line 3: expected 'variable'"):
        read_network(path)


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"name": 3}, TypeError, "the network's name must be a str"),
        ({"name": "\ud800"}, ValueError, "has no UTF-8 form"),
        ({"states": {"a": (1, 2)}}, TypeError, "a state of 'a' must be a str"),
        ({"states": {"a": ("x", "x")}}, ValueError, "states of 'a' must be different"),
        ({"states": {"a": ()}}, ValueError, "states of 'a' must be different and at least one"),
        ({"parents": {"a": ("a",)}}, ValueError, "parents of 'a' must be different other"),
        ({"parents": {"a": ("b",)}}, ValueError, "parents of 'a' must be different other"),
        ({"parents": {"b": ()}}, ValueError, "the same keys"),
        ({"tables": {"a": [0.5, 0.5]}}, TypeError, "table of 'a' must be a float64 array, got li"),
        ({"tables": {"a": np.ones(2, np.float32)}}, TypeError, "must be a float64 array"),
        ({"tables": {"a": np.ones(3)}}, ValueError, r"must have shape \(2,\), got \(3,\)"),
        ({"tables": {"a": np.array([0.5, -0.5])}}, ValueError, "negative or non-finite"),
        ({"tables": {"a": np.array([0.5, np.nan])}}, ValueError, "negative or non-finite"),
    ],
)
@pytest.mark.parametrize("suffix", [".bif", ".xmlbif", ".net", ".uai"])
def test_tables_that_do_not_fit_are_not_written(
    suffix: str, change: dict[str, object], kind: type[Exception], message: str, tmp_path: Path
) -> None:
    good = NetworkTables("n", {"a": ("x", "y")}, {"a": ()}, {"a": np.array([0.5, 0.5])})
    with pytest.raises(kind, match=message):
        write_network(replace(good, **change), tmp_path / f"n{suffix}")  # pyright: ignore
    assert os.listdir(tmp_path) == []
