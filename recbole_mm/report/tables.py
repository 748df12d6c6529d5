"""Tables of a suite's runs as markdown and LaTeX: means over seeds, differences from a reference, tests against it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields

import pandas as pd
from tabulate import tabulate

from recbole_mm.report.significance import DRAWS, PAIRED, Comparison, RunKey, UserTotals, compare

SHOWN = ("rmse", "mae", "recall@10", "ndcg@10", "genre_map", "genre_macro_auc")  # columns, unless a suite names its own
FOLD = re.compile(r"u[1-5]")


@dataclass(frozen=True)
class Tests:
    """Significance tests of a suite: as a table with one line for each, and as markdown (empty without a baseline)."""

    table: pd.DataFrame
    markdown: str


def summary(table: pd.DataFrame, plan: Mapping) -> tuple[list[str], list[list[str]]]:
    """Headers and lines of a table: mean ± standard deviation over seeds.

    Folds are averaged first, so the deviation is over seeds only.

    Args:
        table: one line for each run with row, protocol, seed, failure and metrics.
        plan: the suite, which may name ``columns``.
    """
    metrics = _shown(table, plan)
    lines = []
    for (row, name), runs in table.groupby(["row", _protocol_names(table["protocol"])], sort=False):
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


def _protocol_names(protocols: pd.Series) -> pd.Series:
    """Protocol of each run as tables name it; several folds have one name."""
    is_fold = protocols.str.fullmatch(FOLD)
    folds = protocols[is_fold].nunique()
    return protocols.mask(is_fold & (folds > 1), f"mean of {folds} folds").rename("protocol_name")


def markdown(suite: str, dataset: str, table: pd.DataFrame, plan: Mapping) -> str:
    """The summary under a heading with command, date, versions and machine."""
    headers, lines = summary(table, plan)
    seeds = ", ".join(map(str, plan["seeds"]))
    of_seeds = f"mean ± standard deviation over seeds {seeds}" if len(plan["seeds"]) > 1 else f"seed {seeds}"
    versions = {} if "versions" not in table else json.loads(table["versions"].dropna().iloc[0])
    date = "" if "date" not in table else table["date"].dropna().max()
    stack = ", ".join(f"{name} {version}" for name, version in versions.items())
    machines = [] if "machine" not in table else table["machine"].dropna().unique().tolist()
    files = f" --config_files='{' '.join(plan['config_files'])}'" if plan.get("config_files") else ""
    files += f" --tune={plan['tune']}" if plan.get("tune") else ""
    files += f" --models {' '.join(plan['asked_models'])}" if plan.get("asked_models") else ""
    name = suite.removesuffix("-quick")
    quick = "" if name == suite else " --quick"
    return (
        f"# {dataset}: {suite}\n\n`recbole-mm benchmark --dataset={dataset} --suite={name}{quick}{files}`; "
        f"{plan.get('part', 'test')} part, {of_seeds}. {date}, "
        f"{'; '.join(filter(None, [*machines, stack]))}.\n\n{_github(headers, lines)}\n{_failures(table)}"
    )


def _failures(table: pd.DataFrame) -> str:
    """Reasons of failed rows, each reason once."""
    by_row = table.dropna(subset="failure").groupby("row", sort=False)["failure"].unique()
    return "".join(f"\n{row} failed: {'; '.join(reasons)}\n" for row, reasons in by_row.items())


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
    runs = table[table["failure"].isna()]
    by_seed = runs.groupby(["row", _protocol_names(runs["protocol"]), "seed"], sort=False)[metrics].mean()
    if reference not in by_seed.index.get_level_values("row"):
        return f"\nThe row {reference}, which the others would be subtracted from, has no numbers yet.\n"
    base = by_seed.loc[reference]
    others = by_seed.drop(index=reference, level="row")
    lines = []
    for (row, protocol), values in others.groupby(level=["row", "protocol_name"], sort=False):
        difference = values.droplevel("row") - base.reindex(values.droplevel("row").index)
        lines.append([row, protocol, *(_mean_and_deviation(difference[name], sign="+") for name in metrics)])
    text = _github(["row", "protocol", *metrics], lines)
    return f"\nDifference from {reference} under the same seed, mean ± standard deviation over seeds.\n\n{text}\n"


def significance(
    totals: Mapping[str, Mapping[str, Mapping[RunKey, Mapping[str, UserTotals]]]], baselines: Sequence[str]
) -> Tests:
    """Each row against the best baseline of each metric, under each protocol; all folds together are one protocol.

    Args:
        totals: protocol -> row -> run -> metric -> what each user adds.
        baselines: candidates for the reference.
    """
    protocols = [protocol for protocol, rows in totals.items() if any(rows.values())]
    by_name: dict[str, dict[str, dict[RunKey, Mapping[str, UserTotals]]]] = {}
    for protocol, name in zip(protocols, _protocol_names(pd.Series(protocols, dtype=str))):
        for row, runs in totals[protocol].items():
            by_name.setdefault(name, {}).setdefault(row, {}).update(runs)
    tests: list[tuple[str, Comparison]] = []
    for name, rows in by_name.items():
        for metric in PAIRED:
            values = {
                row: {run: metrics[metric] for run, metrics in runs.items()}
                for row, runs in rows.items()
                if all(metric in metrics for metrics in runs.values())
            }
            tests += [(name, test) for test in compare(values, baselines, metric)]
    columns = ["protocol", *(column.name for column in fields(Comparison))]
    table = pd.DataFrame([{"protocol": name, **asdict(test)} for name, test in tests], columns=columns)
    if not tests:
        return Tests(table, "")
    lines = []
    for name, test in tests:
        interval = f"{test.low:+.4f} to {test.high:+.4f}"
        numbers = f"{test.difference:+.4f}", interval, f"{test.effect:+.3f}", f"{test.p:.2g}", test.units
        lines.append([test.row, name, test.metric, test.reference, *numbers, test.verdict])
    headers = ["row", "protocol", "metric", "against", "difference", "95 %", "effect (d_z)", "p (Holm)", "users"]
    reference = f"{baselines[0]}" if len(baselines) == 1 else "the best baseline of each metric"
    return Tests(
        table,
        f"\nAgainst {reference}: difference of the mean over runs, and its 95 % interval from {DRAWS:,} draws of users "
        f"with replacement. Paired t-test over users, where all ratings of a user are one unit; p after Holm's "
        f"correction over the rows; effect: the difference in standard deviations from user to user "
        f"(recbole_mm/report/significance.py).\n\n{_github([*headers, 'verdict'], lines)}\n",
    )


def _shown(table: pd.DataFrame, plan: Mapping) -> list[str]:
    return [name for name in plan.get("columns", SHOWN) if name in table and table[name].notna().any()]


def _github(headers: list[str], lines: list[list]) -> str:
    return tabulate(lines, headers=headers, tablefmt="github", disable_numparse=True)


def _mean_and_deviation(values: pd.Series, sign: str = "") -> str:
    if values.isna().all():
        return "–"
    mean = values.mean()
    are_integers = abs(mean) >= 1 and (values.dropna() % 1 == 0).all()  # epochs, parameters
    decimals = 0 if are_integers or abs(mean) >= 1000 else 4 if abs(mean) < 10 else 1  # 4: metrics, 1: seconds
    if len(values) < 2:
        return f"{mean:{sign},.{decimals}f}"
    return f"{mean:{sign},.{decimals}f} ± {values.std(ddof=1):,.{decimals}f}"
