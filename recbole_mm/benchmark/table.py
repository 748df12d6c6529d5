"""From the numbers of cells to the lines of a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from recbole_mm.benchmark.kept import Kept
from recbole_mm.errors import InputError
from recbole_mm.files import write_text
from recbole_mm.report.significance import UserTotals


class Failure(NamedTuple):
    """A cell without numbers, and why."""

    row: str
    protocol: str
    seed: int
    cell: str
    reason: str


def read_table(cells: Sequence[Kept | Failure], part: str) -> pd.DataFrame:
    """The lines of all cells, with their place in the table and the day on which they ran.

    Args:
        part: ``valid`` or ``test``.
    """
    lines = []
    for cell in cells:
        place = {"protocol": cell.protocol, "seed": cell.seed, "failure": None, "cell": cell.cell}
        if isinstance(cell, Failure):
            lines.append({"row": cell.row, **place, "failure": cell.reason})
        else:
            lines += [{"row": line.pop("row"), **place, **line, "date": cell.date} for line in lines_of(cell, part)]
    return pd.DataFrame(lines)


def lines_of(cell: Kept, part: str) -> Iterable[dict[str, Any]]:
    """Lines of the table that a cell has: one, or one for each thing that its tool tried.

    A ``bucket`` (of movies, say) is a part of the protocol: rows are compared within it.

    Args:
        part: ``valid`` or ``test``.
    """
    for line in cell.lines:
        costs = {name: value for name, value in line.items() if name not in ("row", "bucket", "valid", "test")}
        place = {"row": f"{cell.row}: {line['row']}" if "row" in line else cell.row}
        if "bucket" in line:
            place["protocol"] = f"{cell.protocol}, {line['bucket']}"
        yield {**place, **line[part], **costs}


def user_totals_of(
    cells: Sequence[Kept | Failure],
) -> dict[str, dict[str, dict[tuple[str, int], dict[str, UserTotals]]]]:
    """Protocol -> row -> run -> metric -> what each user adds, for rows without a failure."""
    broken = {cell.row for cell in cells if isinstance(cell, Failure)}
    found: dict[str, dict[str, dict[tuple[str, int], dict[str, UserTotals]]]] = {}
    for cell in cells:
        if isinstance(cell, Failure) or cell.row in broken:
            continue
        buckets = {line["bucket"] for line in cell.lines if "bucket" in line}
        for line, metrics in cell.users.items():
            protocol = f"{cell.protocol}, {line}" if line in buckets else cell.protocol
            row = cell.row if line in ("", *buckets) else f"{cell.row}: {line}"
            found.setdefault(protocol, {}).setdefault(row, {})[cell.protocol, cell.seed] = dict(metrics)
    return found


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
