"""The results of a benchmark as one HTML file that opens without a network: tables to sort, figures to look into.

python -m recbole_mm.report.html --dataset=ml-100k-mm
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jinja2
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from recbole_mm.report import figures
from recbole_mm.report.results import Line, Run, Suite, better, is_ours, read_suites
from recbole_mm.report.tables import FOLD

TEMPLATE = "report.html.jinja"
RUNS_ABSENT = "This is drawn from the files of the runs, which are not here (the repository has none). What makes them:"
COLD = "cold-item"
COMPARED = ("rmse", "genre_map")  # warm with cold; ranks among the cold movies are no ranks among all


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        value: what it is sorted by; None sorts last.
        deviation: standard deviation shown beside it.
        best: of its column, under the same protocol.
        failure: it says why there are no numbers, over ``span`` columns.
    """

    text: str
    value: float | str | None = None
    deviation: str = ""
    best: bool = False
    failure: bool = False
    span: int = 1


@dataclass(frozen=True)
class Table:
    """A table to sort; ``columns`` are (name, order at the first click, whether of numbers)."""

    label: str
    columns: list[tuple[str, str, bool]]
    lines: list[tuple[bool, list[Cell]]]  # (a row of ours, its cells)


@dataclass(frozen=True)
class Plot:
    """One place for figures of which one is shown; ``missing`` says why there is none, ``command`` makes them."""

    key: str
    title: str
    text: str
    variants: dict[str, go.Figure] = field(default_factory=dict)
    missing: str = ""
    command: str = ""


def write_html(out: Path, dataset: str) -> Path:
    """Write ``out/report.html`` from the tables in ``out`` and, as far as they are there, the runs in ``out/runs``.

    Args:
        out: folder that `recbole-mm benchmark` wrote.
        dataset: its name.

    Returns:
        The file.

    Raises:
        InputError: no table of a suite in the folder, or a file there that cannot be read.
    """
    suites = read_suites(out)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("recbole_mm.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template(TEMPLATE).render(
        dataset=dataset,
        dates=_dates(suites),
        versions=_versions(suites),
        machine=_machines(suites),
        suites=[
            {
                "suite": suite,
                "command": _command(dataset, suite.name),
                "seeds": ", ".join(str(seed) for seed in sorted(suite.table["seed"].unique())),
                "table": metrics_table(suite),
                "tests": tests_table(suite),
                "plots": [_bars(suite), _curves(suite, dataset)],
            }
            for suite in suites
        ],
        plots=[_confusion(suites, dataset), _map(suites, dataset), _warm_and_cold(suites)],
        figure_json=lambda figure: figure.to_json().replace("<", "\\u003c"),  # no text may end the script
        plotly=get_plotlyjs(),
    )
    path = out / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


def metrics_table(suite: Suite) -> Table:
    """Means ± standard deviations over seeds; the best of each column is marked under each protocol."""
    lines = suite.lines()
    names = [*suite.metrics, *suite.costs]
    columns = [("row", "ascending", False), ("protocol", "ascending", False)]
    columns += [(name, "descending" if better(name) == "high" else "ascending", True) for name in names]
    if not names:
        columns.append(("result", "ascending", False))
    best = {(line.protocol, name): _best(lines, line.protocol, name) for line in lines for name in names}
    body = []
    for line in lines:
        cells = [Cell(line.row, line.row), Cell(line.protocol, line.protocol)]
        if line.failure:
            cells.append(Cell(line.failure, failure=True, span=max(1, len(names))))
        else:
            cells += [_number_cell(line, name, best[line.protocol, name]) for name in names]
        body.append((is_ours(line.row), cells))
    return Table(f"{suite.name}: means of runs", columns, body)


def tests_table(suite: Suite) -> Table | None:
    """Paired tests against the best baseline, as they lie in the folder."""
    if suite.tests is None or suite.tests.empty:
        return None
    tests = suite.tests[sorted(suite.tests, key=lambda name: name != "row")]  # a line's first cell is its name
    numbers = set(tests.select_dtypes("number"))
    columns = [(name, "ascending", name in numbers) for name in tests]
    lines = []
    for record in tests.to_dict("records"):
        cells = [_tested_cell(name, value) for name, value in record.items()]
        lines.append((is_ours(str(record.get("row"))), cells))
    return Table(f"{suite.name}: paired tests", columns, lines)


def _best(lines: Sequence[Line], protocol: str, name: str) -> float | None:
    """The best mean as it is printed, so that what looks equal is marked alike; None where nothing is compared."""
    means = (line.mean.get(name, np.nan) for line in lines if line.protocol == protocol)
    values = [mean for mean in means if np.isfinite(mean)]
    if len(values) < 2 or not better(name):
        return None
    return round(min(values) if better(name) == "low" else max(values), 4)


def _number_cell(line: Line, name: str, best: float | None) -> Cell:
    mean, deviation = line.mean[name], line.deviation[name]
    if not np.isfinite(mean):
        return Cell("–")
    text = figures.number(name, mean)
    shown = figures.number(name, deviation) if np.isfinite(deviation) and name != "parameters" else ""
    return Cell(text, float(mean), shown, best is not None and round(mean, 4) == best)


def _tested_cell(name: str, value: str | float) -> Cell:
    if pd.isna(value):
        return Cell("–")
    if isinstance(value, str):
        return Cell(value, value)
    form = {"p": ".2g", "units": ",.0f"}.get(name, "+.4f")
    return Cell(f"{value:{form}}", value)


# ---------------------------------------------------------------------- figures


def _bars(suite: Suite) -> Plot:
    lines = suite.lines()
    names = [name for name in suite.metrics if better(name)]
    names += [name for name in suite.costs if name in suite.columns]
    names.sort(key=lambda name: suite.table[name].isna().sum())  # first what most rows have
    variants = {name: figures.bars(lines, name) for name in names}
    text = "Mean over seeds; the line is the standard deviation over seeds. Our models are in bold."
    return Plot(f"{suite.name}-bars", "Bars", text, variants, "" if variants else "No run of this suite has a metric.")


def _curves(suite: Suite, dataset: str) -> Plot:
    by_protocol: dict[str, dict[str, Run]] = {}
    first_fold = next((name for name in suite.table["protocol"] if FOLD.fullmatch(name)), None)
    for run in sorted(suite.runs(), key=lambda run: run.seed):
        if run.protocol == first_fold or not FOLD.fullmatch(run.protocol):
            by_protocol.setdefault(run.protocol, {}).setdefault(run.row, run)
    variants = _present({name: figures.curves(list(runs.values())) for name, runs in by_protocol.items()})
    text = (
        "Validation metrics and the accuracy of MMASP's discriminator by epoch, of the first seed of each row; "
        "a dot marks the epoch that was kept. Click a name to hide it, twice to see it alone."
    )
    command = _command(dataset, suite.name)
    return Plot(f"{suite.name}-curves", "Training curves", text, variants, "" if variants else RUNS_ABSENT, command)


def _confusion(suites: Sequence[Suite], dataset: str) -> Plot:
    found = {}
    for label, runs in _runs_by_row(suites).items():
        made = figures.confusion(runs)
        if made:
            found[f"{label}: {made[1]:,} movies in {len(runs)} run{'s' * (len(runs) > 1)}"] = made[0]
    text = (
        "For the held-out movies of each true genre (lines) the mean predicted probability of each genre (columns), "
        "divided by the line's sum. A movie of several genres counts in the line of each."
    )
    command = _command(dataset, "ranking")
    return Plot("confusion", "Genre confusion", text, found, "" if found else RUNS_ABSENT, command)


def _map(suites: Sequence[Suite], dataset: str) -> Plot:
    """One map for each model: of the first row and run that has embeddings, where all tasks were trained if any was."""
    found: dict[str, go.Figure] = {}
    models: set[str] = set()
    for label, runs in sorted(_runs_by_row(suites).items(), key=lambda one: one[1][0].protocol != "ranking"):
        model = (runs[0].result or {}).get("model")
        if model is None or model in models:
            continue
        made = figures.movie_map(runs[0])
        if made:
            models.add(model)
            found[f"{label}: {made[1]:,} movies, seed {runs[0].seed}"] = made[0]
    text = (
        "Each dot is a movie by its representation z, which user profiles are averages of, in two dimensions (t-SNE: "
        "near means alike, distances between groups mean little). The colour is the rarest of the movie's genres; "
        "genres are what the models learn to predict, never an input. Click a genre to hide it, twice to see it alone."
    )
    command = _command(dataset, "ranking")
    return Plot("map", "Map of movies", text, found, "" if found else RUNS_ABSENT, command)


def _warm_and_cold(suites: Sequence[Suite]) -> Plot:
    lines: dict[str, dict[str, Line]] = {}
    places: dict[str, list[str]] = {}  # suite -> rows whose cold line it has
    for suite in suites:
        for line in suite.lines() if suite.part == "test" else ():
            if lines.setdefault(line.row, {}).setdefault(line.protocol, line) is line and line.protocol == COLD:
                places.setdefault(suite.name, []).append(line.row)
    variants = {}
    for suite_name, rows in places.items():
        pairs = [(figures.row_label(row), [*_warm(lines[row]), lines[row][COLD]]) for row in rows]
        made = {f"{suite_name}: {name}": figures.warm_and_cold(pairs, name) for name in COMPARED}
        variants |= _present(made)
    text = (
        "The same rows where the movies have training ratings and where they have none (cold-item). Ranking is left "
        "out: among the cold movies it is another task than in the full catalogue."
    )
    missing = "" if variants else "No row has been run both under cold-item and under ranking or the folds."
    return Plot("warm-cold", "Warm and cold movies", text, variants, missing)


def _warm(lines: dict[str, Line]) -> list[Line]:
    """Lines under ranking and over the folds; of one fold where that is all there is."""
    whole = [line for name, line in lines.items() if name == "ranking" or name.startswith("mean of")]
    return whole or [line for name, line in lines.items() if FOLD.fullmatch(name)]


def _runs_by_row(suites: Sequence[Suite]) -> dict[str, list[Run]]:
    """Runs of our models by row and protocol, as the first suite has them; of the test part, as predictions are.

    Folds are left out: genres are held out by the other protocols.
    """
    found: dict[str, list[Run]] = {}
    for suite in suites:
        own: dict[str, list[Run]] = {}
        for run in suite.runs() if suite.part == "test" else ():
            if is_ours(run.row) and not FOLD.fullmatch(run.protocol):
                own.setdefault(f"{run.row}, {run.protocol}", []).append(run)
        for label, runs in own.items():
            found.setdefault(label, runs)
    return found


def _present(made: dict[str, go.Figure | None]) -> dict[str, go.Figure]:
    return {name: figure for name, figure in made.items() if figure is not None}


# ---------------------------------------------------------------------- heading


def _command(dataset: str, suite: str) -> str:
    name = suite.removesuffix("-quick")
    return f"recbole-mm benchmark --dataset={dataset} --suite={name}{' --quick' * (name != suite)}"


def _dates(suites: Sequence[Suite]) -> str:
    dates = _values(suites, "date")
    return "" if not dates else min(dates) if len(dates) == 1 else f"{min(dates)} to {max(dates)}"


def _versions(suites: Sequence[Suite]) -> str:
    """Each package with every version that a run had."""
    versions: dict[str, list[str]] = {}
    for text in _values(suites, "versions"):
        for name, version in json.loads(text).items():
            if version not in versions.setdefault(name, []):
                versions[name].append(version)
    return ", ".join(f"{name} {' and '.join(found)}" for name, found in versions.items())


def _machines(suites: Sequence[Suite]) -> str:
    named = _values(suites, "machine")
    if named:
        return "; ".join(named)
    return f"not recorded (this report: {platform.system()} {platform.machine()}, {os.cpu_count()} cores)"


def _values(suites: Sequence[Suite], column: str) -> list[str]:
    """Distinct values of a column of the tables, in their order."""
    columns = [suite.table[column].dropna().astype(str) for suite in suites if column in suite.table]
    return list(dict.fromkeys(value for values in columns for value in values))


def main() -> None:
    """Write the report again from what a benchmark left."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--dataset", default="ml-100k-mm")
    parser.add_argument("--out", type=Path, help="folder of the tables (default: results/DATASET)")
    options = parser.parse_args()
    print(write_html(options.out or Path("results") / options.dataset, options.dataset))


if __name__ == "__main__":
    main()
