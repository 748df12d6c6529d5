"""Tables of a suite's runs as markdown and LaTeX: means over seeds, differences and tests against a reference."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import pandas as pd
from tabulate import tabulate

from recbole_mm.report.significance import Comparison, compare, units

SHOWN = ("rmse", "mae", "recall@10", "ndcg@10", "genre_map", "genre_macro_auc")  # columns, unless a suite names its own
PAIRED = ("rmse", "recall@10", "ndcg@10")
FOLD = re.compile(r"u[1-5]")


@dataclass(frozen=True)
class Tests:
    """Significance tests of a suite: one line for each, and as markdown (empty without a baseline)."""

    table: pd.DataFrame
    markdown: str


def summary(table: pd.DataFrame, plan: Mapping) -> tuple[list[str], list[list[str]]]:
    """Headers and lines of a table: mean ± standard deviation over seeds.

    Folds are averaged first, so that the deviation is that of the seeds.

    Args:
        table: one line for each run with row, protocol, seed, failure and its metrics.
        plan: the suite, which may name ``columns``.
    """
    metrics = _shown(table, plan)
    lines = []
    for (row, name), runs in table.groupby(["row", _place_of(table["protocol"])], sort=False):
        folds = runs["protocol"].nunique() > 1
        failed = runs["failure"].dropna()
        if len(failed):
            lines.append([row, name, "failed"])
            continue
        by_seed = runs.groupby("seed")[metrics].mean()
        lines.append([row, name, *(_mean_and_deviation(by_seed[metric]) for metric in metrics)])
        if folds:
            first = runs[runs["protocol"] == runs["protocol"].iloc[0]].set_index("seed")
            cells = (_mean_and_deviation(first[metric]) for metric in metrics)
            lines.append(["", runs["protocol"].iloc[0], *cells])
    return ["row", "protocol", *metrics], lines


def _place_of(protocols: pd.Series) -> pd.Series:
    """Protocol of each run as tables name it; folds are one place, where there are several of them."""
    is_fold = protocols.str.fullmatch(FOLD)
    folds = protocols[is_fold].nunique()
    return protocols.mask(is_fold & (folds > 1), f"mean of {folds} folds").rename("place")


def markdown(suite: str, dataset: str, table: pd.DataFrame, plan: Mapping) -> str:
    """The summary under a heading that says how, when and with what it was measured."""
    headers, lines = summary(table, plan)
    seeds = ", ".join(map(str, plan["seeds"]))
    versions = {} if "versions" not in table else json.loads(table["versions"].dropna().iloc[0])
    measured = "" if "date" not in table else table["date"].dropna().max()
    stack = ", ".join(f"{name} {version}" for name, version in versions.items())
    machines = [] if "machine" not in table else table["machine"].dropna().unique().tolist()
    files = f" --config_files='{' '.join(plan['config_files'])}'" if plan.get("config_files") else ""
    return (
        f"# {dataset}: {suite}\n\n`recbole-mm benchmark --dataset={dataset} --suite={suite}{files}`; "
        f"{plan.get('part', 'test')} part, mean ± standard deviation over seeds {seeds}. {measured}, "
        f"{'; '.join([*machines, stack])}.\n\n{_github(headers, lines)}\n{_failures(table)}"
    )


def _failures(table: pd.DataFrame) -> str:
    """Why rows failed, each reason once."""
    reasons = table.dropna(subset="failure").groupby("row", sort=False)["failure"].unique()
    return "".join(f"\n{row} failed: {'; '.join(found)}\n" for row, found in reasons.items())


def latex(table: pd.DataFrame, plan: Mapping) -> str:
    """The summary as a LaTeX tabular (package booktabs)."""
    headers, lines = summary(table, plan)
    width = len(headers)
    lines = [[*line, *[""] * (width - len(line))] for line in lines]
    return (
        tabulate(lines, headers=headers, tablefmt="latex_booktabs", disable_numparse=True).replace("±", r"$\pm$") + "\n"
    )


def differences(table: pd.DataFrame, plan: Mapping) -> str:
    """Each row minus the row ``against`` under the same seed: mean ± standard deviation over seeds.

    Folds are averaged first.
    """
    metrics, reference = _shown(table, plan), plan["against"]
    done = table[table["failure"].isna()]
    done = done.groupby(["row", _place_of(done["protocol"]), "seed"], sort=False)[metrics].mean()
    base = done.loc[reference]
    lines = []
    for (row, place), runs in done.drop(index=reference, level="row").groupby(level=["row", "place"], sort=False):
        difference = runs.droplevel("row") - base.reindex(runs.droplevel("row").index)
        lines.append([row, place, *(_mean_and_deviation(difference[name], sign="+") for name in metrics)])
    text = _github(["row", "protocol", *metrics], lines)
    return f"\nDifference from {reference} under the same seed, mean ± standard deviation over seeds.\n\n{text}\n"


def significance(predictions: Mapping[str, Mapping[str, Sequence[Path]]], baselines: Sequence[str]) -> Tests:
    """Each row against the best baseline of each metric, under each protocol; the folds are one.

    Args:
        predictions: protocol -> row -> ``predictions_file`` of its runs.
        baselines: rows among which the reference is taken.
    """
    runs = [
        (protocol, file, row) for protocol, rows in predictions.items() for row, files in rows.items() for file in files
    ]
    places = _place_of(pd.Series([protocol for protocol, *_ in runs], dtype=str))
    found: list[tuple[str, Comparison]] = []
    for place in places.unique():
        here = [(file, row) for (_, file, row), its_place in zip(runs, places) if its_place == place]
        files = {row: [file for file, its_row in here if its_row == row] for _, row in here}
        for metric in PAIRED:
            values = {row: known for row, of_row in files.items() if (known := units(of_row, metric)) is not None}
            found += [(place, one) for one in compare(values, baselines, metric)]
    names = [one.name for one in fields(Comparison)]
    table = pd.DataFrame([{"protocol": place, **asdict(one)} for place, one in found], columns=["protocol", *names])
    if not found:
        return Tests(table, "")
    lines = []
    for place, one in found:
        numbers = f"{one.difference:+.4f}", f"{one.effect:+.3f}", f"{one.p:.2g}", one.units
        lines.append([one.row, place, one.metric, one.reference, *numbers, one.verdict])
    headers = ["row", "protocol", "metric", "against", "difference", "effect (d_z)", "p (Holm)", "pairs or users"]
    reference = f"{baselines[0]}" if len(baselines) == 1 else "the best baseline of each metric"
    return Tests(
        table,
        f"\nAgainst {reference}: paired t-tests on the same users, for rmse on squared errors of "
        f"the same ratings, after averaging over seeds and folds (recbole_mm/report/significance.py).\n\n"
        f"{_github([*headers, 'verdict'], lines)}\n",
    )


def _shown(table: pd.DataFrame, plan: Mapping) -> list[str]:
    return [name for name in plan.get("columns", SHOWN) if name in table and table[name].notna().any()]


def _github(headers: list[str], lines: list[list]) -> str:
    return tabulate(lines, headers=headers, tablefmt="github", disable_numparse=True)


def _mean_and_deviation(values: pd.Series, sign: str = "") -> str:
    if values.isna().all():
        return "–"
    mean = values.mean()
    counted = abs(mean) >= 1 and (values.dropna() % 1 == 0).all()  # epochs, parameters
    decimals = 0 if counted or abs(mean) >= 1000 else 4 if abs(mean) < 10 else 1  # else metrics, seconds
    if len(values) < 2:
        return f"{mean:{sign},.{decimals}f}"
    return f"{mean:{sign},.{decimals}f} ± {values.std(ddof=1):,.{decimals}f}"
