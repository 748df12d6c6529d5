"""Numbers of finished cells in two small files a suite, so that its table can be made again, and go on, elsewhere.

    cells/SUITE.jsonl   one line a cell: its name (which holds the key of key.py), row, protocol, seed, day, and all
                        numbers of its lines in the table
    cells/SUITE.npz     what each user adds to the metrics that are tested (`recbole_mm.report.significance`). Sums are
                        float32: rounded to 7 digits. Tests add them up in float64

They are committed beside the tables; predictions and logs, in ``runs``, are not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from recbole_mm.benchmark.cell import Cell
from recbole_mm.errors import InputError
from recbole_mm.files import UnreadableArrays, read_arrays, write_text, writing
from recbole_mm.report.significance import PAIRED, UserTotals, user_totals


@dataclass(frozen=True)
class Kept:
    """Numbers of a finished cell.

    Attributes:
        cell: name of its result, with the key of all that the numbers depend on.
        model: its option ``model``.
        lines: its lines in the table, each with ``valid``, ``test``, costs and, where its tool tries several things,
            ``row`` or ``bucket``.
        users: line ("", its ``row`` or its ``bucket``) -> metric -> what each user adds.
    """

    cell: str
    row: str
    protocol: str
    seed: int
    model: str
    date: str
    lines: list[dict[str, Any]]
    users: Mapping[str, Mapping[str, UserTotals]] = field(default_factory=dict)

    def of(self, cell: Cell) -> Kept:
        """The same numbers in the row of ``cell``: suites share runs."""
        return replace(self, row=cell.row)


def keep(cell: Cell) -> Kept:
    """Numbers of a cell whose run is done."""
    result = json.loads(cell.file.read_text(encoding="utf-8"))
    lines = []
    for line in result.get("lines", [result]):
        own = {name: line[name] for name in ("row", "bucket", "valid", "test") if name in line}
        lines.append({**own, **_cost({**result, **line}), "machine": result.get("machine")})
    ran = datetime.fromtimestamp(cell.file.stat().st_mtime)  # the date of the run, not of the table
    found = user_totals(cell.predictions) if cell.keeps_predictions else {}
    users = {line: {name: _rounded(one) for name, one in metrics.items()} for line, metrics in found.items()}
    place = cell.row, cell.protocol, cell.seed, cell.options["model"]
    return Kept(cell.file.stem, *place, f"{ran:%Y-%m-%d}", lines, users)


def _rounded(totals: UserTotals) -> UserTotals:
    """As they are written, so that tests of runs and of the files are the same to the last digit."""
    return totals._replace(totals=totals.totals.astype(np.float32).astype(float))


def _cost(result: dict[str, Any]) -> dict[str, Any]:
    if "seconds" not in result:
        return {}
    history, best = result["history"], result["best_epoch"]
    statistics = next((epoch.get("statistics", {}) for epoch in history if epoch["epoch"] == best), {})
    seconds = result["seconds"]
    return {
        **statistics,
        "parameters": result["parameters"],
        "epochs": result["epochs"],
        "epoch_seconds": seconds["epoch"],
        "fit_seconds": round(seconds["build"] + seconds["fit"], 3),
        "peak_mb": result["peak_rss_mb"],
        "pairs_per_second": result["throughput"].get("pairs"),
        "users_per_second": result["throughput"].get("users"),
        "versions": json.dumps(result["versions"]),
    }


# ---------------------------------------------------------------------- files


def write_kept(out: Path, suite: str, cells: Sequence[Kept]) -> None:
    """Write the two files of a suite, in the order of ``cells``.

    Raises:
        InputError: they cannot be written.
    """
    folder = out / "cells"
    lines = [json.dumps(_plain(cell)) for cell in cells]
    write_text(folder / f"{suite}.jsonl", "".join(f"{line}\n" for line in lines))
    with writing(folder / f"{suite}.npz") as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **_arrays(cells))


def read_kept(out: Path, suite: str | None = None) -> dict[str, Kept]:
    """Cells of a suite in the order of its file, or of all suites: name -> numbers; none where there are no files.

    Raises:
        InputError: a file is damaged.
    """
    return {cell.cell: cell for cell in read_rows(out, suite)}


def read_rows(out: Path, suite: str | None = None) -> list[Kept]:
    """As `read_kept`, but a cell that stands in several rows is there once for each row.

    Two rows are the same cell where they differ in nothing but their values, and a data set has no values of its own.
    """
    found: list[Kept] = []
    for path in sorted((out / "cells").glob(f"{suite or '*'}.jsonl")):
        users = _read_users(path.with_suffix(".npz"))
        for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                values = json.loads(text)
                cell = Kept(**values, users=users.get(values["cell"], {}))
                if not all(isinstance(line[part], dict) for line in cell.lines for part in ("valid", "test")):
                    raise ValueError("its lines have no numbers")
            except (ValueError, TypeError, LookupError) as error:
                reason = " ".join(str(error).split())
                raise InputError(f"{path}, line {number}: is not a cell ({reason}); {_REMEDY}") from error
            found.append(cell)
    return found


_REMEDY = "take the committed file again, or delete it and run the suite"


def _plain(cell: Kept) -> dict[str, Any]:
    return {name: value for name, value in asdict(replace(cell, users={})).items() if name != "users"}


def _arrays(cells: Iterable[Kept]) -> dict[str, np.ndarray]:
    """All users' totals as columns: for each metric the number of the line, of the user, the total and the count."""
    parts = [
        (f"{cell.cell}/{line}", metric, totals)
        for cell in {cell.cell: cell for cell in cells}.values()  # once, whatever the number of its rows
        for line, metrics in cell.users.items()
        for metric, totals in metrics.items()
    ]
    names = list(dict.fromkeys(name for name, _, _ in parts))
    users = np.unique(np.concatenate([totals.users for _, _, totals in parts])) if parts else np.zeros(0, "S1")
    arrays = {"line": np.char.encode(np.array(names, dtype=str), "utf-8"), "user": users}
    place = {name: number for number, name in enumerate(names)}
    for metric in PAIRED:
        own = [(name, totals) for name, of, totals in parts if of == metric]
        if own:
            columns = {
                "line": [np.full(len(totals.users), place[name], np.int32) for name, totals in own],
                "user": [np.searchsorted(users, totals.users).astype(np.int32) for _, totals in own],
                "total": [totals.totals.astype(np.float32) for _, totals in own],
                "count": [totals.counts.astype(np.int32) for _, totals in own],
            }
            arrays |= {f"{metric}/{name}": np.concatenate(column) for name, column in columns.items()}
    return arrays


def _read_users(path: Path) -> dict[str, dict[str, dict[str, UserTotals]]]:
    """Cell -> line -> metric -> what each user adds."""
    try:
        arrays = read_arrays(path)
        found: dict[str, dict[str, dict[str, UserTotals]]] = {}
        names = [name.decode() for name in arrays["line"]]
        for metric in PAIRED:
            if f"{metric}/line" not in arrays:
                continue
            line, user, total, count = (arrays[f"{metric}/{name}"] for name in ("line", "user", "total", "count"))
            starts = np.flatnonzero(np.diff(line, prepend=-1))
            for start, end in zip(starts, [*starts[1:], len(line)]):
                cell, _, own = names[line[start]].partition("/")
                part = slice(start, end)
                totals = UserTotals(arrays["user"][user[part]], total[part].astype(float), count[part])
                found.setdefault(cell, {}).setdefault(own, {})[metric] = totals
    except (UnreadableArrays, KeyError, IndexError, ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is not what users add to metrics ({error}); {_REMEDY}") from error
    return found
