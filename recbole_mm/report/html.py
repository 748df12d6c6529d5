"""The results of a benchmark as one HTML file that needs no network: sortable tables and interactive figures.

python -m recbole_mm.report.html --dataset=ml-100k-mm
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jinja2
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from recbole_mm.files import write_text
from recbole_mm.report import figures
from recbole_mm.report.falls import read_falls
from recbole_mm.report.results import Line, Run, Suite, better, is_ours, read_suites
from recbole_mm.report.tables import FOLD

TEMPLATE = "report.html.jinja"
RUNS_MISSING = (
    "This figure needs the files of the runs. They are missing (the repository has none). This command makes them:"
)
COLD = "cold-item"
# Metrics compared between warm and cold movies. Ranks among cold movies cannot be compared with ranks among all movies.
COMPARED = ("rmse", "genre_map")


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        value: used for sorting; None sorts last.
        deviation: standard deviation shown beside ``text``.
        best: whether it is the best of its column under the same protocol.
        failure: whether ``text`` is the reason for missing numbers, over ``span`` columns.
    """

    text: str
    value: float | str | None = None
    deviation: str = ""
    best: bool = False
    failure: bool = False
    span: int = 1


@dataclass(frozen=True)
class Table:
    """A sortable table; ``columns`` are (name, order after the first click, whether numeric)."""

    label: str
    columns: list[tuple[str, str, bool]]
    lines: list[tuple[bool, list[Cell]]]  # (whether it is a model of this package, its cells)


@dataclass(frozen=True)
class Plot:
    """Variants of a figure, one shown at a time. If there are none: ``missing`` says why, ``command`` makes them."""

    key: str
    title: str
    text: str
    variants: dict[str, go.Figure] = field(default_factory=dict)
    missing: str = ""
    command: str = ""


def write_html(out: Path, dataset: str) -> Path:
    """Write ``out/report.html`` from the tables in ``out`` and the runs in ``out/runs``, if there are any.

    Args:
        out: folder that `recbole-mm benchmark` wrote.
        dataset: its name.

    Returns:
        The file.

    Raises:
        InputError: the folder has no table of a suite, or a file in it cannot be read.
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
                "costs": costs_table(suite),
                "tests": tests_table(suite),
                "plots": [*_falls(suite), _bars(suite), _curves(suite, dataset)],
            }
            for suite in suites
        ],
        plots=[_confusion(suites, dataset), _map(suites, dataset), _warm_and_cold(suites)],
        figure_json=lambda figure: figure.to_json().replace("<", "\\u003c"),  # so that no text can end the script
        plotly=get_plotlyjs(),
        breakable=_breakable,
    )
    path = out / "report.html"
    write_text(path, page)
    return path


def _breakable(name: str) -> list[str]:
    """Parts of a column's name, which may stand one below the other.

    >>> _breakable("rated_ndcg@10")
    ['rated_', 'ndcg@', '10']
    """
    return re.findall(r"[^_@ ]+[_@ ]?|[_@ ]", name)


def metrics_table(suite: Suite) -> Table:
    """Means ± standard deviations over seeds; the best of each column and protocol is marked."""
    return _means_table(suite, f"{suite.name}: means of runs", list(suite.metrics))


def costs_table(suite: Suite) -> Table | None:
    """What the runs cost, in a table of its own, so that the metrics fit a page; None if nothing was measured."""
    return _means_table(suite, f"{suite.name}: costs of runs", list(suite.costs)) if suite.costs else None


def _means_table(suite: Suite, label: str, names: list[str]) -> Table:
    lines = suite.lines()
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
    return Table(label, columns, body)


def tests_table(suite: Suite) -> Table | None:
    """Paired tests against the best baseline, from the file in the folder."""
    if suite.tests is None or suite.tests.empty:
        return None
    tests = suite.tests[sorted(suite.tests, key=lambda name: name != "row")]  # the row's name is the first cell
    numbers = set(tests.select_dtypes("number"))
    columns = [(name, "ascending", name in numbers) for name in tests]
    lines = []
    for record in tests.to_dict("records"):
        cells = [_test_cell(name, value) for name, value in record.items()]
        lines.append((is_ours(str(record.get("row"))), cells))
    return Table(f"{suite.name}: paired tests", columns, lines)


def _best(lines: Sequence[Line], protocol: str, name: str) -> float | None:
    """The best mean, rounded as printed so that equal texts are marked alike; None if there is nothing to compare."""
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


def _test_cell(name: str, value: str | float) -> Cell:
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
    names.sort(key=lambda name: suite.table[name].isna().sum())  # first the metrics that most rows have
    variants = {name: figures.bars(lines, name) for name in names}
    text = "Mean over seeds. The line is the standard deviation over seeds. Our models are in bold."
    return Plot(f"{suite.name}-bars", "Bars", text, variants, "" if variants else "No run of this suite has a metric.")


def _curves(suite: Suite, dataset: str) -> Plot:
    by_protocol: dict[str, dict[str, Run]] = {}
    first_fold = next((name for name in suite.table["protocol"] if FOLD.fullmatch(name)), None)
    for run in sorted(suite.runs(), key=lambda run: run.seed):
        if run.protocol == first_fold or not FOLD.fullmatch(run.protocol):
            by_protocol.setdefault(run.protocol, {}).setdefault(run.row, run)
    variants = _present({name: figures.curves(list(runs.values())) for name, runs in by_protocol.items()})
    text = (
        "Validation metrics and the accuracy of MMASP's discriminator by epoch, for the first seed of each row. "
        "A dot marks the best epoch. Click a name to hide it, double-click to see it alone."
    )
    command = _command(dataset, suite.name)
    return Plot(f"{suite.name}-curves", "Training curves", text, variants, "" if variants else RUNS_MISSING, command)


def _falls(suite: Suite) -> list[Plot]:
    """Metrics against the share of missing vectors; nothing for a suite without such rows."""
    found = read_falls(suite.table)
    variants = {
        f"{metric}, {protocol}": figures.falls(values)
        for (protocol, metric), values in found.groupby(["protocol", "metric"], sort=False)
    }
    text = (
        "Each movie loses the vector of each field with the probability on the axis: when a trained model is tested "
        "(left), or from before training on (right). Single marks are runs with stand-ins, which count as present."
    )
    return [Plot(f"{suite.name}-falls", "Missing vectors", text, variants)] if variants else []


def _confusion(suites: Sequence[Suite], dataset: str) -> Plot:
    variants = {}
    for label, runs in _runs_by_row(suites).items():
        if drawn := figures.confusion(runs):
            figure, n_movies = drawn
            variants[f"{label}: {n_movies:,} movies in {len(runs)} run{'s' * (len(runs) > 1)}"] = figure
    text = (
        "Mean predicted probability of each genre (columns) for held-out movies of each true genre (rows), divided by "
        "the row's sum. A movie of several genres counts in the row of each genre."
    )
    command = _command(dataset, "ranking")
    return Plot("confusion", "Genre confusion", text, variants, "" if variants else RUNS_MISSING, command)


def _map(suites: Sequence[Suite], dataset: str) -> Plot:
    """One map for each model: its first row whose first run has embeddings. Runs of protocol ranking come first."""
    variants: dict[str, go.Figure] = {}
    models: set[str] = set()
    for label, runs in sorted(_runs_by_row(suites).items(), key=lambda entry: entry[1][0].protocol != "ranking"):
        model = (runs[0].result or {}).get("model")
        if model is None or model in models:
            continue
        if drawn := figures.movie_map(runs[0]):
            figure, n_movies = drawn
            models.add(model)
            variants[f"{label}: {n_movies:,} movies, seed {runs[0].seed}"] = figure
    text = (
        "Each dot is a movie's representation z in two dimensions (user profiles are averages of z). t-SNE places "
        "similar movies near each other; distances between groups mean little. The colour is the movie's rarest genre. "
        "Genres are a target of the models, never an input. Click a genre to hide it, double-click to see it alone."
    )
    command = _command(dataset, "ranking")
    return Plot("map", "Map of movies", text, variants, "" if variants else RUNS_MISSING, command)


def _warm_and_cold(suites: Sequence[Suite]) -> Plot:
    lines: dict[str, dict[str, Line]] = {}
    cold_rows: dict[str, list[str]] = {}  # suite -> its rows with a cold-item line
    for suite in suites:
        for line in suite.lines() if suite.part == "test" else ():
            if lines.setdefault(line.row, {}).setdefault(line.protocol, line) is line and line.protocol == COLD:
                cold_rows.setdefault(suite.name, []).append(line.row)
    variants = {}
    for suite_name, rows in cold_rows.items():
        pairs = [(figures.row_label(row), [*_warm(lines[row]), lines[row][COLD]]) for row in rows]
        drawn = {f"{suite_name}: {name}": figures.warm_and_cold(pairs, name) for name in COMPARED}
        variants |= _present(drawn)
    text = (
        "The same rows for movies with training ratings (warm) and movies without (cold-item). Ranking metrics are "
        "left out: ranking the cold movies is another task than ranking the full catalogue."
    )
    missing = "" if variants else "No row has runs both under cold-item and under ranking or the folds."
    return Plot("warm-cold", "Warm and cold movies", text, variants, missing)


def _warm(lines: dict[str, Line]) -> list[Line]:
    """Lines of ranking and of the mean over folds; if there are none, lines of one fold."""
    warm = [line for name, line in lines.items() if name == "ranking" or name.startswith("mean of")]
    return warm or [line for name, line in lines.items() if FOLD.fullmatch(name)]


def _runs_by_row(suites: Sequence[Suite]) -> dict[str, list[Run]]:
    """Runs of our models by row and protocol, from the first suite that has them. Only the test part has predictions.

    Folds are left out: only the other protocols hold out genres.
    """
    by_label: dict[str, list[Run]] = {}
    for suite in suites:
        of_suite: dict[str, list[Run]] = {}
        for run in suite.runs() if suite.part == "test" else ():
            if is_ours(run.row) and not FOLD.fullmatch(run.protocol):
                of_suite.setdefault(f"{run.row}, {run.protocol}", []).append(run)
        for label, runs in of_suite.items():
            by_label.setdefault(label, runs)
    return by_label


def _present(variants: dict[str, go.Figure | None]) -> dict[str, go.Figure]:
    return {name: figure for name, figure in variants.items() if figure is not None}


# ---------------------------------------------------------------------- heading


def _command(dataset: str, suite: str) -> str:
    name = suite.removesuffix("-quick")
    return f"recbole-mm benchmark --dataset={dataset} --suite={name}{' --quick' * (name != suite)}"


def _dates(suites: Sequence[Suite]) -> str:
    dates = _values(suites, "date")
    return "" if not dates else min(dates) if len(dates) == 1 else f"{min(dates)} to {max(dates)}"


def _versions(suites: Sequence[Suite]) -> str:
    """Each package with its versions in all runs."""
    versions: dict[str, list[str]] = {}
    for text in _values(suites, "versions"):
        for name, version in json.loads(text).items():
            if version not in versions.setdefault(name, []):
                versions[name].append(version)
    return ", ".join(f"{name} {' and '.join(of_package)}" for name, of_package in versions.items())


def _machines(suites: Sequence[Suite]) -> str:
    machines = _values(suites, "machine")
    if machines:
        return "; ".join(machines)
    return f"not recorded (this report: {platform.system()} {platform.machine()}, {os.cpu_count()} cores)"


def _values(suites: Sequence[Suite], column: str) -> list[str]:
    """Distinct values of a column of all tables, in order."""
    columns = [suite.table[column].dropna().astype(str) for suite in suites if column in suite.table]
    return list(dict.fromkeys(value for values in columns for value in values))


def main() -> None:
    """Write the report again from the files of a benchmark."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--dataset", default="ml-100k-mm")
    parser.add_argument("--out", type=Path, help="folder of the tables (default: results/DATASET)")
    options = parser.parse_args()
    print(write_html(options.out or Path("results") / options.dataset, options.dataset))


if __name__ == "__main__":
    main()
