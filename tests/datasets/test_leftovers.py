"""A prepare that is killed at any moment loses none of the user's files, and the next one tidies up."""

from __future__ import annotations

import os
import signal
from multiprocessing import get_context
from pathlib import Path

import pytest

from recbole_mm.datasets import atomic_writer, registry
from recbole_mm.datasets.atomic_writer import is_built, replacing_folder
from recbole_mm.datasets.registry import Builder, prepare
from recbole_mm.errors import InputError

NAME = "small-set"
MINE = {"my.notes": "mine", f"{NAME}.text": "item_id:token\ttext_vec:float_seq\n1\t0.5\n", "own.yaml": "a: 1"}


def build(folder: Path, source: Path | None = None, force: bool = False) -> None:
    if is_built(folder, NAME) and not force:
        return
    with replacing_folder(folder) as temporary:
        for suffix in ("inter", "item"):
            (temporary / f"{NAME}.{suffix}").write_text("new")


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder with a built data set in which the user has files."""
    monkeypatch.setitem(registry.PREPARABLE, NAME, Builder(build))
    folder = tmp_path / NAME
    folder.mkdir()
    for name, text in {f"{NAME}.inter": "old", f"{NAME}.item": "old", **MINE}.items():
        (folder / name).write_text(text)
    return tmp_path


def _killed_after(renames: int, out: Path) -> None:
    rename, done = Path.rename, []

    def counted(self: Path, target: Path) -> Path:
        if len(done) == renames:
            os.kill(os.getpid(), signal.SIGKILL)
        done.append(self)
        return rename(self, target)

    Path.rename = counted  # type: ignore[method-assign]
    prepare(NAME, out, force=True)


@pytest.mark.parametrize("renames", range(5))
@pytest.mark.parametrize("force", [False, True])
def test_killed_at_any_rename_the_next_prepare_restores_the_folder(out, renames, force, capsys):
    process = get_context("fork").Process(target=_killed_after, args=(renames, out))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL and len(list(out.iterdir())) > 1
    folder = prepare(NAME, out, force=force)
    assert [path.name for path in out.iterdir()] == [NAME]
    assert {path.name: path.read_text() for path in folder.iterdir() if path.name in MINE} == MINE
    assert len(list(folder.iterdir())) == 2 + len(MINE)
    assert len({(folder / f"{NAME}.{suffix}").read_text() for suffix in ("inter", "item")}) == 1
    assert "was killed" in capsys.readouterr().err
    prepare(NAME, out)
    assert not capsys.readouterr().err


def test_a_file_that_the_user_made_since_is_not_overwritten(out):
    earlier = out / f".{NAME}.999999999.earlier"
    earlier.mkdir()
    (earlier / "my.notes").write_text("before")
    folder = prepare(NAME, out)
    assert (folder / "my.notes").read_text() == "mine" and (folder / "my.notes.earlier").read_text() == "before"


def test_what_a_running_process_writes_is_left_alone(out):
    building = out / f".{NAME}.{os.getppid()}.partial"
    building.mkdir()
    prepare(NAME, out)
    assert building.is_dir()


def test_half_written_files_of_a_killed_process_in_the_folder_go(out):
    (out / NAME / f".{NAME}.text.999999999.partial").write_text("half")
    (out / NAME / ".hidden").write_text("mine")
    folder = prepare(NAME, out)
    assert (folder / ".hidden").is_file() and not list(folder.glob(".*.partial"))


def test_a_full_disk_leaves_nothing_and_is_one_line(out, monkeypatch):
    def full(*_) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic_writer, "move_others", full)
    with pytest.raises(InputError, match="No space left on device.*--out"):
        prepare(NAME, out, force=True)
    prepare(NAME, out)
    assert [path.name for path in out.iterdir()] == [NAME]
    assert {path.name for path in (out / NAME).iterdir()} >= set(MINE)
