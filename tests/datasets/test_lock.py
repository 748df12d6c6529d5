"""Processes that need the same data set at once: one builds it, the others wait and find it complete."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from recbole_mm.datasets import vector_files
from recbole_mm.datasets.lock import building
from recbole_mm.datasets.ml_100k import build as ml_100k
from recbole_mm.datasets.registry import prepare
from recbole_mm.errors import InputError

fcntl = pytest.importorskip("fcntl", reason="locks of files are those of POSIX")
NAME = "ml-100k-mm"
FORK = multiprocessing.get_context("fork")


def _prepare(out: Path, begun, found) -> None:
    """Build slowly, file by file, and tell what is there when prepare says that the data set is."""
    copy = vector_files.copy_file

    def slow(source: Path, target: Path) -> None:
        found.put(("writes", target.name))
        begun.set()
        time.sleep(0.05)
        copy(source, target)

    vector_files.copy_file = ml_100k.copy_file = slow
    folder = prepare(NAME, out)
    found.put(("files", sorted(path.name for path in folder.iterdir())))


def test_two_processes_that_need_a_data_set_build_it_once_and_read_it_complete(tmp_path):
    found, begun = FORK.Queue(), FORK.Event()
    first, second = (FORK.Process(target=_prepare, args=(tmp_path / "out", begun, found)) for _ in range(2))
    first.start()
    assert begun.wait(60)
    second.start()
    told = []
    while sum(what == "files" for what, _ in told) < 2:
        told.append(found.get(timeout=60))
    first.join()
    second.join()
    written = [name for what, name in told if what == "writes"]
    assert len(written) == len(set(written)), "a file was written by both"
    one, other = (files for what, files in told if what == "files")
    assert one == other and not [name for name in one if name.endswith(".partial")] and len(one) > 10
    assert os.listdir(tmp_path / "out") == [NAME]


def _build_forever(out: Path, begun) -> None:
    with building(out / NAME):
        begun.set()
        time.sleep(600)


def test_the_lock_of_a_killed_process_is_free(tmp_path, capsys):
    begun = FORK.Event()
    process = FORK.Process(target=_build_forever, args=(tmp_path, begun))
    process.start()
    assert begun.wait(60)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert os.listdir(tmp_path) == [f".{NAME}.lock"]
    prepare(NAME, tmp_path)
    assert os.listdir(tmp_path) == [NAME] and "waiting" not in capsys.readouterr().err


def _count(folder: Path, number: Path, times: int) -> None:
    for _ in range(times):
        with building(folder):
            before = int(number.read_text())
            number.write_text(str(before + 1))


def test_no_two_processes_hold_it(tmp_path):
    """The file is removed each time, so a process may have locked one that is gone."""
    number = tmp_path / "number"
    number.write_text("0")
    (tmp_path / "data").mkdir()
    counting = [FORK.Process(target=_count, args=(tmp_path / "data" / NAME, number, 100)) for _ in range(4)]
    for process in counting:
        process.start()
    for process in counting:
        process.join()
    assert number.read_text() == "400" and not list((tmp_path / "data").iterdir())


def test_a_folder_that_cannot_be_written_is_read_without_a_lock(tmp_path, monkeypatch):
    prepare(NAME, tmp_path)

    def refused(*args: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refused)
    assert prepare(NAME, tmp_path) == tmp_path / NAME and os.listdir(tmp_path) == [NAME]


def test_a_data_set_that_cannot_be_built_leaves_no_folder(tmp_path):
    with pytest.raises(InputError, match="is not in"):
        prepare("anime", tmp_path / "new")
    assert not (tmp_path / "new").exists()
