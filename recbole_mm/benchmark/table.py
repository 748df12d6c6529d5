"""From the results of cells to the lines of a table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from recbole_mm.benchmark.cell import Cell
from recbole_mm.errors import InputError
from recbole_mm.files import write_text


def read_table(cells: Sequence[Cell], failures: Sequence[str | None], part: str) -> pd.DataFrame:
    """The lines of all cells, with their place in the table and the day on which they ran.

    Args:
        failures: for each cell the reason why it failed, or None.
        part: ``valid`` or ``test``.
    """
    lines = []
    for cell, failure in zip(cells, failures):
        place = {"protocol": cell.protocol, "seed": cell.seed, "failure": failure, "cell": cell.file.stem}
        if failure is not None:
            lines.append({"row": cell.row, **place})
            continue
        ran = datetime.fromtimestamp(cell.file.stat().st_mtime)  # the date of the run, not of the table
        lines += [{"row": line.pop("row"), **place, **line, "date": f"{ran:%Y-%m-%d}"} for line in lines_of(cell, part)]
    return pd.DataFrame(lines)


def lines_of(cell: Cell, part: str) -> Iterable[dict[str, Any]]:
    """Lines of the table that a done cell has: one, or one for each thing that its tool tried.

    Args:
        part: ``valid`` or ``test``.
    """
    result = json.loads(cell.file.read_text(encoding="utf-8"))
    for line in result.get("lines", [result]):
        row = f"{cell.row}: {line['row']}" if "row" in line else cell.row
        yield {"row": row, **line[part], **_cost({**result, **line}), "machine": result.get("machine")}


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


def write_results(out: Path) -> None:
    """Write the lines of all suites of the folder, but not those of short forms, to ``results.csv``."""
    files = sorted(path for path in out.glob("*.csv") if "." not in path.stem and path.stem != "results")
    tables = [_read(path).assign(suite=path.stem) for path in files if not path.stem.endswith("-quick")]
    if tables:
        merged = pd.concat(tables, ignore_index=True)
        merged.insert(0, "suite", merged.pop("suite"))
        write_text(out / "results.csv", merged.to_csv(index=False))


def failures_of(table: Path) -> list[tuple[str, str]]:
    """(row, reason) of each run that failed, from the lines beside a suite's table."""
    lines = _read(table.with_suffix(".csv"))
    failed = lines[lines["failure"].notna()] if "failure" in lines else lines[:0]
    return list(zip(failed["row"], failed["failure"]))


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path)
    except (ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: is not a table ({reason}); delete it, or run its suite again") from error
