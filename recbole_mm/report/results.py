"""Results of a benchmark in a folder: suites with one line for each run, and the files of the runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from recbole_mm.config.sources import read_packaged
from recbole_mm.errors import InputError
from recbole_mm.model.registry import MODELS
from recbole_mm.report.tables import FOLD, SHOWN
from recbole_mm.resources import resource_dir

KEYS = ("row", "protocol", "seed")
TEXT = ("row", "protocol", "failure", "cell", "machine", "metric", "reference", "verdict")
COSTS = (
    *("parameters", "epochs", "epoch_seconds", "fit_seconds"),
    *("peak_mb", "pairs_per_second", "users_per_second"),
)
ORDER = (
    *("rating", "ranking", "cold-item", "genre", "modalities", "missing"),
    *("ladder", "tail", "sweep", "ablation", "cost"),
)
LOWER_IS_BETTER = re.compile(r"(.*_)?(rmse|mae)")
HIGHER_IS_BETTER = re.compile(r"genre_.*|(.*_)?(recall|mrr|ndcg|hit|precision|map|auc|gauc|itemcoverage)(@\d+)?")


@dataclass(frozen=True)
class Run:
    """Files of one run, if they exist: the `Result` as JSON, and predictions for pairs, users and movies."""

    row: str
    protocol: str
    seed: int
    stem: Path

    @cached_property
    def result(self) -> dict | None:
        """The run's `Result`; None if its file is missing, or the line does not come from the run of a model."""
        path = self.stem.with_name(f"{self.stem.name}.json")
        if not path.is_file():
            return None
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
            return result if "history" in result else None
        except ValueError as error:
            raise InputError(
                f"{path}: is not the result of a run ({error}); delete it and run the suite again"
            ) from error

    def predictions(self, *names: str) -> dict[str, np.ndarray] | None:
        """Arrays of the run's predictions; None if the file or one of the arrays is missing."""
        path = self.stem.with_name(f"{self.stem.name}.npz")
        if not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in names} if set(names) <= set(arrays.files) else None
        except (ValueError, OSError) as error:
            raise InputError(
                f"{path}: does not hold predictions of a run ({error}); delete it and run the suite again"
            ) from error


@dataclass(frozen=True)
class Line:
    """One line of a table: a row under one protocol, or over the canonical folds together.

    Attributes:
        mean: by column.
        deviation: standard deviation over seeds, by column, NaN for one seed. Folds are averaged first.
        runs: number of runs in the line.
        failure: reason if there are no numbers.
    """

    row: str
    protocol: str
    mean: dict[str, float]
    deviation: dict[str, float]
    runs: int
    failure: str | None = None


@dataclass(frozen=True)
class Suite:
    """One suite of a results folder.

    Attributes:
        table: one line for each run: row, protocol, seed, failure, metrics, costs.
        tests: paired tests against the best baseline; None without them.
        plan: its file in properties/benchmark; empty if there is none.
        folder: of the files of the runs.
    """

    name: str
    table: pd.DataFrame
    tests: pd.DataFrame | None
    plan: Mapping
    folder: Path

    @property
    def part(self) -> str:
        """Part of the data that was evaluated: "test" or "valid"."""
        return self.plan.get("part", "test")

    @property
    def columns(self) -> Sequence[str]:
        """The columns of its printed table."""
        return self.plan.get("columns", SHOWN)

    @property
    def metrics(self) -> list[str]:
        """Numeric columns other than costs; columns of the printed table come first."""
        numeric = [name for name in self.table.select_dtypes("number") if self.table[name].notna().any()]
        metrics = [name for name in numeric if name not in (*KEYS, *COSTS)]
        return sorted(metrics, key=lambda name: self.columns.index(name) if name in self.columns else len(self.columns))

    @property
    def costs(self) -> list[str]:
        """Columns of costs."""
        return [name for name in COSTS if name in self.table and self.table[name].notna().any()]

    def lines(self) -> list[Line]:
        """Means over seeds, in the order of the table."""
        family = self.table["protocol"].where(~self.table["protocol"].str.fullmatch(FOLD), "folds")
        lines = []
        for (_, family_name), runs in self.table.groupby(["row", family], sort=False):
            folds = runs["protocol"].nunique()
            if family_name == "folds" and folds > 1:
                lines.append(self._line(runs, f"mean of {folds} folds"))
                runs = runs[runs["protocol"] == runs["protocol"].iloc[0]]
            lines.append(self._line(runs, runs["protocol"].iloc[0]))
        return lines

    def _line(self, runs: pd.DataFrame, protocol: str) -> Line:
        row, failed = runs["row"].iloc[0], runs["failure"].dropna()
        if len(failed):
            part = "" if len(failed) == len(runs) else f" ({len(failed)} of {len(runs)} runs)"
            return Line(row, protocol, {}, {}, len(runs), f"failed{part}: {failed.iloc[0]}")
        by_seed = runs.groupby("seed")[[*self.metrics, *self.costs]].mean()
        return Line(row, protocol, by_seed.mean().to_dict(), by_seed.std(ddof=1).to_dict(), len(runs))

    def runs(self) -> Iterator[Run]:
        """Runs in the table that did not fail, with or without files."""
        if "cell" not in self.table:
            return
        for line in self.table[self.table["failure"].isna() & self.table["cell"].notna()].itertuples():
            yield Run(line.row, line.protocol, int(line.seed), self.folder / str(line.cell))


def read_suites(out: Path) -> list[Suite]:
    """Every suite with a table in the folder. Other csv files and results.csv (all suites together) are skipped.

    Raises:
        InputError: there is no table of a suite.
    """
    suites = []
    for path in sorted(out.glob("*.csv"), key=lambda path: (_position(path.stem), path.stem)):
        table = _read_table(path)
        if path.stem.endswith(".tests") or not {*KEYS, "failure"} <= set(table) or "suite" in table:
            continue
        tests_path = path.with_suffix(".tests.csv")
        tests = _read_table(tests_path) if tests_path.is_file() else None
        suites.append(Suite(path.stem, table, tests, _plan(path.stem), out / "runs"))
    if not suites:
        raise InputError(f"{out}: has no table of a suite; type: recbole-mm benchmark --suite=NAME --out={out}")
    return suites


def is_ours(row: str) -> bool:
    """Whether the name of a row begins with a model of this package."""
    return row.startswith(tuple(MODELS))


def better(name: str) -> str:
    """Returns "high" or "low", whichever is better in a column; "" for neither."""
    if LOWER_IS_BETTER.fullmatch(name):
        return "low"
    return "high" if HIGHER_IS_BETTER.fullmatch(name) else ""


def _read_table(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, dtype=dict.fromkeys(TEXT, str))
    except ValueError as error:
        raise InputError(f"{path}: is not a table ({error}); delete it, or run the suite again") from error


def _position(suite: str) -> int:
    return ORDER.index(suite) if suite in ORDER else len(ORDER)


def _plan(suite: str) -> Mapping:
    path = resource_dir("properties") / "benchmark" / f"{suite.removesuffix('-quick')}.yaml"
    return read_packaged(path) if path.is_file() else {}
