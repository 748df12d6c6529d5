"""What a killed `prepare` leaves behind: it is found, told and cleaned by the next one, and the user's files come back.

`replacing_folder` builds in ``.<dataset>.<process>.partial``, moves the old folder to ``.<dataset>.<process>.earlier``,
renames the new one, and moves the files that are not its own from the old folder to the new one. A process that is
killed leaves one or both of these folders; ml-100k-mm and vectors leave ``.<file>.<process>.partial`` in the folder.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path


def clean_leftovers(folder: Path, is_own: Callable[[str], bool]) -> None:
    """Remove what killed processes have left of building ``folder``, and say so on stderr.

    Args:
        is_own: whether a file of this name in the folder is written by a builder; all others are the user's.

    Raises:
        OSError: something cannot be moved or removed.
    """
    folder = folder.resolve()
    if not folder.parent.is_dir():
        return
    for earlier in _of_dead(folder.parent, folder.name, "earlier"):
        if not folder.exists():
            earlier.rename(folder)
            _say(f"{folder}: a prepare was killed while it replaced this folder; it is again what it was before")
            continue
        if moved := move_others(earlier, folder, is_own):
            _say(f"{folder}: a prepare was killed before it moved your files; moved now: {', '.join(moved)}")
        shutil.rmtree(earlier)
    unfinished = _of_dead(folder.parent, folder.name, "partial")
    if folder.is_dir():
        unfinished += _of_dead(folder, None, "partial")
    for path in unfinished:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        _say(f"{path}: a process was killed while it wrote this; removed")


def move_others(earlier: Path, folder: Path, is_own: Callable[[str], bool]) -> list[str]:
    """Move the user's files of one folder to another, in which none is overwritten; returns their names there."""
    moved = []
    for path in sorted(earlier.iterdir()):
        if is_own(path.name) or re.fullmatch(r"\..+\.\d+\.partial", path.name):
            continue
        name = path.name
        while os.path.lexists(folder / name):
            name += ".earlier"
        path.rename(folder / name)
        moved.append(name)
    return moved


def _of_dead(place: Path, name: str | None, end: str) -> list[Path]:
    """Leftovers of processes that no longer run: those of ``name``, or of any file."""
    pattern = re.compile(rf"\.{'.+' if name is None else re.escape(name)}\.(\d+)\.{end}")
    matches = [(path, pattern.fullmatch(path.name)) for path in sorted(place.iterdir())]
    return [path for path, match in matches if match and not _runs(int(match[1]))]


def _runs(process: int) -> bool:
    if process == os.getpid():
        return False  # what this process left is of an earlier one with the same number
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _say(text: str) -> None:
    print(f"recbole-mm: {text}", file=sys.stderr)
