"""Options and data of all rows of a suite, checked once before the first of many runs starts."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from recbole_mm.benchmark.cell import Cell
from recbole_mm.config.config import Config
from recbole_mm.data.vectors import find_vector_file
from recbole_mm.datasets.registry import PREPARABLE, prepare
from recbole_mm.errors import InputError, NotInDataError, nearest
from recbole_mm.training.session import prepare_data


@dataclass(frozen=True)
class Refused:
    """Rows of a suite that cannot run: (row, protocol) -> the reason.

    Attributes:
        by_data: the data lack what they need: they are left out of the table.
        wrong: their options are wrong: they are shown as failed.
    """

    by_data: dict[tuple[str, str], str]
    wrong: dict[tuple[str, str], str]


def find_data(dataset: str, folders: Collection[Path]) -> None:
    """Build the data set where runs would: the keys of the cells are made of its files.

    Args:
        folders: those of the data set that the rows read.

    Raises:
        InputError: it cannot be built, or it has no builder and is not there. Each row would say so, or less.
    """
    for folder in folders:
        if dataset in PREPARABLE:
            prepare(dataset, folder.parent)
        elif not folder.is_dir():
            others = [path.name for path in folder.parent.glob("*") if path.is_dir()]
            raise InputError(
                f"dataset '{dataset}': no folder {folder}.{nearest(dataset, [*PREPARABLE, *others])} Put the atomic "
                f"files there, or make it of your own tables (recbole-mm import)"
            )


def find_other(suite: str, dataset: str, other: str, folders: Collection[Path]) -> None:
    """`find_data` of the data set ``other``, to which a suite takes the models that it trains on ``dataset``.

    Raises:
        NotInDataError: it is the same data set or cannot be had, so that the suite has nothing to do.
    """
    if other == dataset:
        raise NotInDataError(f"suite '{suite}' takes models to {other}; choose another --dataset to train them on")
    try:
        find_data(other, folders)
    except InputError as error:
        raise NotInDataError(f"suite '{suite}' takes models to {other}, which is not there: {error}") from error


def check_rows(cells: Sequence[Cell], kept: Collection[str] = ()) -> Refused:
    """Rows that cannot run; all are told before anything runs, and the others run.

    The data are read once, by the first row that has to run and can: what is wrong with the files is wrong for all.

    Args:
        kept: names of cells that need no run.

    Raises:
        InputError: no row can run; or the data cannot be read.
    """
    refused = Refused({}, {})
    first: Config | None = None
    errors: list[InputError] = []
    rows = {(cell.row, cell.protocol): cell for cell in cells}
    todo = {(cell.row, cell.protocol) for cell in cells if not cell.done and cell.file.stem not in kept}
    for place, cell in rows.items():
        try:
            config = Config(arguments=cell.arguments())
            _check_vectors(config)
        except InputError as error:
            kind = refused.by_data if isinstance(error, NotInDataError) else refused.wrong
            kind[place] = str(error)
            errors.append(error)
            continue
        if first is None and place in todo:
            first = config
    if errors and len(errors) == len(rows):
        raise errors[0]
    for (row, protocol), reason in refused.by_data.items():
        print(f"recbole-mm: row '{row}' is left out under {protocol}: {reason}", file=sys.stderr)
    for (row, protocol), reason in refused.wrong.items():
        print(f"recbole-mm: warning: row '{row}' cannot run under {protocol}: {reason}", file=sys.stderr)
    if first is not None:
        prepare_data(first)
    return refused


def _check_vectors(config: Config) -> None:
    """Refuse a row whose vectors are not there."""
    if config.reads_vectors:
        for field in config["modalities"]:
            find_vector_file(Path(config["data_path"]), config["dataset"], field)


def left_out_lines(by_data: Mapping[tuple[str, str], str]) -> str:
    """Rows that the data do not allow, for the foot of a table."""
    if not by_data:
        return ""
    lines = [f"- {row} ({protocol}): {reason}" for (row, protocol), reason in by_data.items()]
    return "\n".join(["", "Left out, since the data lack what they need:", "", *lines, ""])


def failed_rows(failures: Sequence[tuple[str, str]]) -> str:
    """'3 runs failed, of rows a, b' for (row, reason) of each run that failed."""
    rows = list(dict.fromkeys(row for row, _ in failures))
    return f"{len(failures)} run{'s' * (len(failures) != 1)} failed, of row{'s' * (len(rows) != 1)} {', '.join(rows)}"
