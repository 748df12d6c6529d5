"""Tables of a suite's runs as markdown and LaTeX: means over seeds, differences and tests against a reference."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import pandas as pd
from tabulate import tabulate

from recbole_mm.benchmark.significance import Comparison, compare, units

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
    table = table.assign(family=table["protocol"].where(~table["protocol"].str.fullmatch(FOLD), "folds"))
    several = table.loc[table["family"] == "folds", "protocol"].nunique() > 1
    lines = []
    for (row, family), runs in table.groupby(["row", "family"], sort=False):
        folds = family == "folds" and several
        name = f"mean of {runs['protocol'].nunique()} folds" if folds else runs["protocol"].iloc[0]
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


def markdown(suite: str, dataset: str, table: pd.DataFrame, plan: Mapping) -> str:
    """The summary under a heading that says how, when and with what it was measured."""
    headers, lines = summary(table, plan)
    seeds = ", ".join(map(str, plan["seeds"]))
    versions = {} if "versions" not in table else json.loads(table["versions"].dropna().iloc[0])
    measured = "" if "date" not in table else table["date"].dropna().max()
    stack = ", ".join(f"{name} {version}" for name, version in versions.items())
    machines = [] if "machine" not in table else table["machine"].dropna().unique().tolist()
    return (
        f"# {dataset}: {suite}\n\n`recbole-mm benchmark --dataset={dataset} --suite={suite}`; "
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
    """Each row minus the row ``against`` under the same protocol and seed: mean ± standard deviation over seeds."""
    metrics, reference = _shown(table, plan), plan["against"]
    done = table[table["failure"].isna()].set_index(["protocol", "seed"])
    base = done.loc[done["row"] == reference, metrics]
    lines = []
    for (row, protocol), runs in done[done["row"] != reference].groupby(["row", "protocol"], sort=False):
        difference = runs[metrics] - base.reindex(runs.index)
        lines.append([row, protocol, *(_mean_and_deviation(difference[name], sign="+") for name in metrics)])
    text = _github(["row", "protocol", *metrics], lines)
    return f"\nDifference from {reference} under the same seed, mean ± standard deviation over seeds.\n\n{text}\n"


def significance(outcomes: Mapping[str, Sequence[Path]], baselines: Sequence[str]) -> Tests:
    """Each row against the best baseline of each metric, over all protocols.

    Args:
        outcomes: row -> ``outcome_file`` of its runs.
        baselines: rows among which the reference is taken.
    """
    found = []
    for metric in PAIRED:
        values = {row: known for row, files in outcomes.items() if (known := units(files, metric)) is not None}
        found += compare(values, baselines, metric)
    table = pd.DataFrame([asdict(one) for one in found], columns=[one.name for one in fields(Comparison)])
    if not found:
        return Tests(table, "")
    lines = []
    for one in found:
        numbers = f"{one.difference:+.4f}", f"{one.effect:+.3f}", f"{one.p:.2g}", one.units
        lines.append([one.row, one.metric, one.reference, *numbers, one.verdict])
    headers = ["row", "metric", "against", "difference", "effect (d_z)", "p (Holm)", "pairs or users", "verdict"]
    return Tests(
        table,
        "\nAgainst the best baseline of each metric: paired t-tests on the same users, for rmse on squared errors of "
        f"the same ratings, after averaging over seeds and folds (recbole_mm/benchmark/significance.py).\n\n"
        f"{_github(headers, lines)}\n",
    )


def _shown(table: pd.DataFrame, plan: Mapping) -> list[str]:
    return [name for name in plan.get("columns", SHOWN) if name in table and table[name].notna().any()]


def _github(headers: list[str], lines: list[list]) -> str:
    return tabulate(lines, headers=headers, tablefmt="github", disable_numparse=True)


def _mean_and_deviation(values: pd.Series, sign: str = "") -> str:
    if values.isna().all():
        return "–"
    mean = values.mean()
    decimals = 4 if abs(mean) < 10 else 1 if abs(mean) < 1000 else 0  # metrics; seconds; parameters
    if len(values) < 2:
        return f"{mean:{sign},.{decimals}f}"
    return f"{mean:{sign},.{decimals}f} ± {values.std(ddof=1):,.{decimals}f}"
