"""Running a cell in a process of its own."""

from __future__ import annotations

import importlib
import json
import os
import platform
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from multiprocessing import get_context
from typing import Any

from recbole_mm.benchmark.cell import TOOLS, Cell
from recbole_mm.errors import InputError


def run_cell(cell: Cell) -> str | None:
    """Run a cell that is not done in a process of its own; the reason if that fails.

    The process is forked from one that has imported everything already, which saves each some five seconds, and has one
    thread: two such processes are faster than one with two threads. What it prints is in the cell's ``.log``.
    """
    if cell.done:
        return None
    os.environ["OMP_NUM_THREADS"] = "1"  # read when the process that the others are forked from starts
    context = get_context("forkserver")
    context.set_forkserver_preload(["recbole_mm.benchmark.runner", "recbole_mm.training.session"])
    process = context.Process(target=_work, args=(cell,))
    process.start()
    process.join()
    failure = cell.file.with_suffix(".failure")
    if process.exitcode == 0 and cell.done:
        return None
    if process.exitcode == 1 and failure.is_file():
        return failure.read_text(encoding="utf-8")
    return f"ended with exit status {process.exitcode} (a negative one is a signal, -9 often means out of memory)"


def _work(cell: Cell) -> None:
    """In the process of a cell: run it, and leave its result or the reason why there is none."""
    failure, unfinished = cell.file.with_suffix(".failure"), cell.file.with_suffix(".unfinished")
    failure.unlink(missing_ok=True)
    with open(cell.file.with_suffix(".log"), "w", encoding="utf-8") as log, redirect_stdout(log), redirect_stderr(log):
        try:
            result = _function(cell.tool)(cell)
        except BaseException as error:
            traceback.print_exc()
            reason = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
            failure.write_text(" ".join(reason.split()), encoding="utf-8")
            raise SystemExit(1) from error
    result["machine"] = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    unfinished.write_text(json.dumps(result), encoding="utf-8")
    unfinished.replace(cell.file)


def _function(tool: str) -> Callable[[Cell], dict[str, Any]]:
    module, _, name = TOOLS[tool].partition(":")
    return getattr(importlib.import_module(module), name)
