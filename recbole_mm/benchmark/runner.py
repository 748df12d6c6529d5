"""Running cells, each in a process of its own."""

from __future__ import annotations

import importlib
import json
import os
import platform
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from multiprocessing import connection, get_context
from pathlib import Path
from typing import Any

from recbole_mm.benchmark.cell import TOOLS, Cell
from recbole_mm.errors import InputError, Terminated
from recbole_mm.files import write_text

SECONDS_TO_END = 5  # that a process has to remove its files when the benchmark is stopped


def run_cell(cell: Cell) -> str | None:
    """Run one cell; the reason if that fails. See `run_cells`."""
    return next(run_cells([cell], 1))[1]


def run_cells(cells: Sequence[Cell], workers: int) -> Iterator[tuple[Cell, str | None]]:
    """Run the cells that are not done, ``workers`` at a time: each cell as it ends, and the reason if it failed.

    A result that is there but damaged is told and made again. If the iteration stops early, by Ctrl-C for example, the
    processes are ended, their unfinished files are removed, and no other cell is started.

    A process is forked from one that has imported everything already, which saves each some five seconds, and has one
    thread: two such processes are faster than one with two threads. What it prints is in the cell's ``.log``.
    """
    waiting = []
    for cell in cells:
        if not cell.done:
            waiting.append(cell)
        elif damage := cell.damage():
            print(f"recbole-mm: warning: {damage}; it is run again", file=sys.stderr)
            waiting.append(cell)
        else:
            yield cell, None
    os.environ["OMP_NUM_THREADS"] = "1"  # read when the process that the others are forked from starts
    context = get_context("forkserver")
    context.set_forkserver_preload(["recbole_mm.benchmark.runner", "recbole_mm.training.session"])
    waiting.reverse()
    running: dict[Any, Cell] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                cell = waiting.pop()
                process = context.Process(target=_work, args=(cell,))
                running[process] = cell
                process.start()
            ended = connection.wait([process.sentinel for process in running])
            for process in [process for process in running if process.sentinel in ended]:
                process.join()
                cell = running.pop(process)
                remove_unfinished(cell)
                yield cell, _reason(cell, process.exitcode)
    finally:
        _end(running)


def _reason(cell: Cell, exitcode: int | None) -> str | None:
    failure = cell.file.with_suffix(".failure")
    if exitcode == 0 and cell.done:
        return None
    if exitcode == 1 and failure.is_file():
        return failure.read_text(encoding="utf-8")
    if exitcode == 1:
        return "ended with exit status 1: its files cannot be written"
    return f"ended with exit status {exitcode} (a negative one is a signal, -9 often means out of memory)"


def _end(running: dict[Any, Cell]) -> None:
    started = {process: cell for process, cell in running.items() if process.pid is not None}
    for process in started:
        process.terminate()
    for process, cell in started.items():
        process.join(SECONDS_TO_END)
        process.kill()
        process.join()
        remove_unfinished(cell)


def remove_unfinished(cell: Cell) -> None:
    """Remove what a run of the cell leaves beside its result: checkpoints, and files that it had not finished."""
    shutil.rmtree(cell.checkpoints, ignore_errors=True)
    for path in cell.file.parent.glob(f".{cell.file.stem}.*.partial"):
        path.unlink(missing_ok=True)


def _work(cell: Cell) -> None:
    """In the process of a cell: run it, and leave its result or the reason why there is none."""
    # Ctrl-C reaches every process of the terminal: the one that started this one decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _terminate)
    failure = cell.file.with_suffix(".failure")
    try:
        remove_unfinished(cell)
        for path in (failure, cell.file, cell.predictions):
            path.unlink(missing_ok=True)
        log_path = cell.file.with_suffix(".log")
        with open(log_path, "w", encoding="utf-8") as log, redirect_stdout(log), redirect_stderr(log):
            try:
                result = _function(cell.tool)(cell)
            except BaseException:
                traceback.print_exc()
                raise
        result["machine"] = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
        write_text(cell.file, json.dumps(result))
    except Terminated as stop:
        raise SystemExit(1) from stop
    except BaseException as error:
        reason = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        _leave(failure, " ".join(reason.split()))
        raise SystemExit(1) from error


def _terminate(number: int, frame: Any) -> None:
    """End by an exception: the process then gives back what the system holds for it, locks among it."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated


def _leave(path: Path, reason: str) -> None:
    try:
        path.write_text(reason, encoding="utf-8")
    except OSError:  # the reason is the disk, and the exit status says that there is one
        return


def _function(tool: str) -> Callable[[Cell], dict[str, Any]]:
    module, _, name = TOOLS[tool].partition(":")
    return getattr(importlib.import_module(module), name)
