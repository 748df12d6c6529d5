"""The checkpoint of the last epoch, ``X.last.pt`` beside ``X.pt`` of the best epoch, and the way back to it.

A run that is killed loses at most the epoch that was running. The file is there while a run trains, and a run that has
ended well removes it. It is written aside and renamed, but not forced onto the disk in each epoch as the best one is:
after a power failure its checksum may be wrong, and then the best epoch takes its place.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from glob import escape
from logging import getLogger
from pathlib import Path
from typing import Any

from recbole_mm.errors import InputError
from recbole_mm.files import writing
from recbole_mm.training.distributed import OF_HOST

AUTO = "auto"
"""Value of the option ``resume``: go on from the last epoch of the same run, if there is one."""

_SUFFIX = ".last.pt"
# Beside these, options that say how the run is started, not what it is.
_NOT_OF_THE_RUN = {*OF_HOST, "config_files", "evaluate", "save_last", "wandb_project"}


def last_of(best: str | Path) -> Path:
    """Path of the last epoch's checkpoint, from the path of the best one."""
    return Path(best).with_suffix(_SUFFIX)


def best_of(path: str | Path) -> Path:
    """Path of the best epoch's checkpoint, from either path."""
    path = Path(path)
    return path.with_name(path.name.removesuffix(_SUFFIX) + ".pt") if is_last(path) else path


def is_last(path: str | Path) -> bool:
    """Whether it is the checkpoint of a last epoch, by its name."""
    return Path(path).name.endswith(_SUFFIX)


def check_best(path: str | Path) -> None:
    """Refuse to go on from a last epoch whose best epoch has gone: there would be nothing to report in the end."""
    if not best_of(path).is_file():
        raise InputError(f"{path}: the checkpoint of the best epoch, {best_of(path)}, is missing; put it beside")


def link(best: str | Path, last: Path) -> bool:
    """Let the last epoch be the best one, without writing it again; False where the file system has no links."""
    aside = last.with_name(f"{last.name}.{os.getpid()}.part")
    try:
        os.link(best, aside)
        aside.replace(last)
    except OSError:
        return False
    finally:
        aside.unlink(missing_ok=True)
    return True


def copy_best(last: str | Path, to: str | Path) -> None:
    """Let a run that goes on from a last epoch start with a copy of the best one, under its own name."""
    with writing(to) as temporary:
        shutil.copyfile(best_of(last), temporary)


def find(folder: str | Path, config, data_fingerprint: str, read: Callable[[Path], Mapping[str, Any]]) -> Path | None:
    """The newest checkpoint of a run with the same options and data that has not ended; None if there is none.

    What a killed process has left half-written of that run is removed.

    Args:
        folder: where the checkpoints are.
        config: options of this run.
        read: gives the content of a checkpoint.
    """
    pattern = f"{config['model']}-{config['dataset']}-*{_SUFFIX}"
    plain = config.plain()
    for last in sorted(Path(folder).glob(pattern), key=lambda path: path.stat().st_mtime, reverse=True):
        for path in (last, best_of(last)):
            try:
                content = read(path)
            except InputError as error:
                getLogger().warning(str(error))
                continue
            if content["data"] == data_fingerprint and _same_run(content["config"], plain):
                for name in (last.name, best_of(last).name):
                    for part in Path(folder).glob(f"{escape(name)}.*.part"):
                        part.unlink(missing_ok=True)
                return path
            break
    return None


def _same_run(kept: Mapping[str, Any], plain: Mapping[str, Any]) -> bool:
    names = (set(kept) | set(plain)) - _NOT_OF_THE_RUN
    return all(kept.get(name) == plain.get(name) for name in names)
