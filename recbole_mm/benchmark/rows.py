"""Options and data of all rows of a suite, checked once before the first of many runs starts."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from recbole_mm.benchmark.cell import Cell
from recbole_mm.config.config import Config
from recbole_mm.errors import InputError
from recbole_mm.training.session import prepare_data


def check_rows(cells: Sequence[Cell]) -> dict[tuple[str, str], str]:
    """(Row, protocol) -> why it cannot run. Such rows are told, and shown as failed; the others run.

    The data are read once, by the first row that has to run and can: what is wrong with the files is wrong for all.

    Raises:
        InputError: no row can run; or the data cannot be read.
    """
    refused: dict[tuple[str, str], str] = {}
    first: Config | None = None
    errors: list[InputError] = []
    rows = {(cell.row, cell.protocol): cell for cell in cells}
    todo = {(cell.row, cell.protocol) for cell in cells if not cell.done}
    for place, cell in rows.items():
        try:
            config = Config(arguments=cell.arguments())
        except InputError as error:
            refused[place] = str(error)
            errors.append(error)
            continue
        if first is None and place in todo:
            first = config
    if errors and len(refused) == len(rows):
        raise errors[0]
    for (row, protocol), reason in refused.items():
        print(f"recbole-mm: warning: row '{row}' cannot run under {protocol}: {reason}", file=sys.stderr)
    if first is not None:
        prepare_data(first)
    return refused


def failed_rows(failures: Sequence[tuple[str, str]]) -> str:
    """'3 runs failed, of rows a, b' for (row, reason) of each run that failed."""
    rows = list(dict.fromkeys(row for row, _ in failures))
    return f"{len(failures)} run{'s' * (len(failures) != 1)} failed, of row{'s' * (len(rows) != 1)} {', '.join(rows)}"
