"""The table that a run prints."""

from __future__ import annotations

from tabulate import tabulate

from recbole_mm.evaluation.families import family_of
from recbole_mm.training.result import Result


def result_table(result: Result) -> str:
    """One table: every metric on the validation and the test part, then the costs of the run."""
    rows = [[family_of(name), name, result.valid.get(name), value] for name, value in result.test.items()]
    previous = ""
    for row in rows:  # the name of a task is printed once
        row[0], previous = ("" if row[0] == previous else row[0]), row[0]
    title = f"{result.model} on {result.dataset}, protocol {result.protocol}, seed {result.seed}"
    best = "" if result.best_epoch is None else f" (best: {result.best_epoch})"
    cost = (
        f"epochs {result.epochs}{best} | seconds: fit {result.seconds['fit']:.1f}, epoch "
        f"{result.seconds['epoch']:.2f}, evaluate {result.seconds['evaluate']:.2f} | parameters "
        f"{result.parameters:,} | peak memory {result.peak_rss_mb:,.0f} MB"
    )
    table = tabulate(
        rows, headers=["task", "metric", "valid", "test"], floatfmt=".4f", tablefmt="simple_outline", missingval="-"
    )
    saved = f"\ncheckpoint {result.checkpoint}" if result.checkpoint else ""
    return f"\n{title}\n{table}\n{cost}{saved}"
