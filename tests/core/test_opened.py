"""Which files an audit reads: sources, data, folders, and what no file tells of."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from auditor.opened import listening


def test_files_that_are_read_are_noted_and_those_that_are_written_are_not(tmp_path: Path) -> None:
    data, output = tmp_path / "data.csv", tmp_path / "log.txt"
    data.write_text("1")
    with listening() as opened:
        data.read_text()
        output.write_text("2")
        os.close(os.open(data, os.O_RDONLY))
    data.with_name("later.csv").write_text("3")

    assert opened.paths == {str(data)}
    assert not opened.elsewhere


def test_a_file_that_was_looked_for_in_vain_is_noted(tmp_path: Path) -> None:
    with listening() as opened, pytest.raises(FileNotFoundError):
        (tmp_path / "none.csv").read_text()

    assert opened.paths == {str(tmp_path / "none.csv")}


def test_a_folder_that_is_listed_is_noted(tmp_path: Path) -> None:
    with listening() as opened:
        list(tmp_path.iterdir())

    assert opened.paths == {str(tmp_path)}


def test_an_imported_module_is_noted_by_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "module_of_mine.py").write_text("VALUE = 3\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for _ in range(2):  # The second time, Python reads what it has compiled.
        with listening() as opened:
            __import__("module_of_mine")
        del sys.modules["module_of_mine"]

        assert str(tmp_path / "module_of_mine.py") in opened.paths
        assert str(tmp_path) not in opened.paths


def test_libraries_are_not_noted() -> None:
    with listening() as opened:
        sys.modules.pop("this", None)
        __import__("colorsys")
        Path(os.__file__).read_text(encoding="utf-8")

    assert not [path for path in opened.paths if path.startswith(os.path.dirname(os.__file__))]


def test_other_processes_and_the_network_are_elsewhere() -> None:
    with listening() as opened:
        subprocess.run([sys.executable, "-c", ""], check=True)
    assert opened.elsewhere

    with listening() as opened, socket.socket() as connection:
        connection.settimeout(0.1)
        connection.connect_ex(("127.0.0.1", 9))
    assert opened.elsewhere


def test_nothing_is_noted_after(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("1")
    with listening() as opened:
        pass
    (tmp_path / "data.csv").read_text()

    assert opened.paths == set()
