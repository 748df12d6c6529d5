"""Metrics against the share of missing vectors: one table and one picture for the suite ``missing``.

They are made from the lines of the suite (``missing.csv``), whose rows are called

    <model>, at test time: all 25%                        a trained model is tested without a part of all vectors
    <model>, before training 50 %                         they are missing in training and at test time
    <model>, before training 50 %, <imputation>           and stand-ins count as present

and may end with where their values come from (", defaults").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from tabulate import tabulate

from recbole_mm.errors import InputError
from recbole_mm.files import write_text, writing
from recbole_mm.report.results import better

CASES = AT_TEST_TIME, BEFORE_TRAINING = "at test time", "before training"
METRICS = ("rmse", "ndcg@10", "genre_map")
_ORIGIN = r"(?P<origin>, defaults|, tuned on [^:,]+|, tuned \(\d+ trials\)|, values of [^:,]+)?"
_TEST = re.compile(rf"(?P<model>.+), at test time{_ORIGIN}: (?:(?P<none>nothing)|all (?P<share>\d+)%)")
_TRAIN = re.compile(
    rf"(?P<model>.+), before training (?P<share>\d+) %(?:, (?!defaults|tuned |values of )(?P<stand_in>.+?))?{_ORIGIN}"
)
_MARKERS = "osD^vP*X"


@dataclass(frozen=True)
class Place:
    """Where the line of a run stands in the table: which model, when the vectors went missing, and how many.

    Attributes:
        share: of vectors that are missing, in per cent.
        stand_in: imputation; empty if there is none.
    """

    model: str
    when: str
    share: int
    stand_in: str = ""


def place_of(row: str) -> Place | None:
    """The place of a row of the suite; None for one that has none, such as a single field at test time."""
    if match := _TEST.fullmatch(row):
        share = 0 if match["none"] else int(match["share"])
        return Place(match["model"] + (match["origin"] or ""), AT_TEST_TIME, share)
    if match := _TRAIN.fullmatch(row):
        model = match["model"] + (match["origin"] or "")
        return Place(model, BEFORE_TRAINING, int(match["share"]), match["stand_in"] or "")
    return None


def read_falls(lines: pd.DataFrame) -> pd.DataFrame:
    """Columns protocol, metric, model, when, stand_in, share, mean and deviation (over seeds), in the suite's order.

    Args:
        lines: of the runs of the suite; failed runs are left out.
    """
    if "failure" in lines:
        lines = lines[lines["failure"].isna()]
    placed = [(place, line) for line in lines.to_dict("records") if (place := place_of(str(line["row"]))) is not None]
    found = [
        {"protocol": line["protocol"], "metric": metric, **vars(place), "value": float(line[metric])}
        for place, line in placed
        for metric in METRICS
        if pd.notna(line.get(metric))
    ]
    columns = ["protocol", "metric", "model", "when", "stand_in", "share"]
    table = pd.DataFrame(found, columns=[*columns, "value"])
    grouped = table.groupby(columns, sort=False)["value"]
    return grouped.agg(mean="mean", deviation="std").reset_index()


def falls_table(falls: pd.DataFrame) -> str:
    """Markdown: for each protocol and metric a line for each model and case, a column for each share.

    The best of a column among the lines of one case is bold.
    """
    parts = []
    for (protocol, metric), values in falls.groupby(["protocol", "metric"], sort=False):
        shares = sorted(values["share"].unique())
        lines = []
        for case in _cases(values):
            chosen = values[(values["when"] == case[0]) & (values["stand_in"] == case[1])]
            lines += [_line(model, case, chosen, shares, metric) for model in chosen["model"].unique()]
        smaller = " (smaller is better)" if better(metric) == "low" else ""
        headers = ["missing", "model", *(f"{share} %" for share in shares)]
        table = tabulate(lines, headers=headers, tablefmt="github", disable_numparse=True)
        parts.append(f"**{metric}**, {protocol}{smaller}\n\n{table}\n")
    return "\n".join(parts)


def _cases(values: pd.DataFrame) -> list[tuple[str, str]]:
    """(when, stand-in) of the lines, those without a stand-in first."""
    pairs = list(dict.fromkeys(zip(values["when"], values["stand_in"])))
    return sorted(pairs, key=lambda pair: (pair[1] != "", pair[0]))


def _line(model: str, case: tuple[str, str], chosen: pd.DataFrame, shares: list[int], metric: str) -> list[str]:
    name = case[0] + (f", {case[1]}" if case[1] else "")
    cells = []
    for share in shares:
        column = chosen[chosen["share"] == share]
        own = column[column["model"] == model]
        if own.empty:
            cells.append("–")
            continue
        mean, deviation = own["mean"].iloc[0], own["deviation"].iloc[0]
        text = f"{mean:.4f}" + ("" if pd.isna(deviation) else f" ± {deviation:.4f}")
        best = column["mean"].min() if better(metric) == "low" else column["mean"].max()
        cells.append(f"**{text}**" if mean == best and len(column) > 1 else text)
    return [name, model, *cells]


def draw_falls(falls: pd.DataFrame, out: Path) -> None:
    """A picture: a row for each protocol and metric, vectors missing at test time on the left, before training right.

    One line for each model, with its standard deviation over seeds. Stand-ins are single marks, all at their share.

    Args:
        out: its suffix decides the format (.png, .svg).

    Raises:
        InputError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError("pictures are drawn by matplotlib; type: pip install 'recbole-mm[plot]'") from error
    panels = list(falls.groupby(["protocol", "metric"], sort=False))
    models = list(falls["model"].unique())
    stand_ins = [name for name in falls["stand_in"].unique() if name]
    figure = Figure(figsize=(10, 0.9 + 2.9 * len(panels)), layout="constrained")
    axes = figure.subplots(len(panels), 2, sharex=True, sharey="row", squeeze=False)
    shown = {}
    for (left, right), ((protocol, metric), values) in zip(axes, panels):
        for axis, when in ((left, AT_TEST_TIME), (right, BEFORE_TRAINING)):
            for model, line in values[values["when"] == when].groupby("model", sort=False):
                colour = f"C{models.index(model)}"
                whole = line[line["stand_in"] == ""].sort_values("share")
                bars = whole["deviation"].fillna(0.0)
                shown[model] = axis.errorbar(
                    whole["share"], whole["mean"], bars, color=colour, marker=".", capsize=2, linewidth=1.4, label=model
                )
                for name, mark in line[line["stand_in"] != ""].groupby("stand_in"):
                    place = stand_ins.index(name)
                    offset = 1.6 * (place + 1 - (len(stand_ins) + 1) / 2)  # side by side, so that none hides another
                    axis.plot(mark["share"] + offset, mark["mean"], _MARKERS[place % len(_MARKERS)], color=colour, ms=5)
            axis.grid(alpha=0.3)
            axis.set_title(f"{protocol}: missing {when}", fontsize=10)
        left.set_ylabel(f"{metric}{' (smaller is better)' if better(metric) == 'low' else ''}")
    for axis in axes[-1]:
        axis.set(xlabel="vectors that are missing, %", xlim=(-4, 104))
    marks = [
        axes[0][0].plot([], [], _MARKERS[i % len(_MARKERS)], color="grey", ms=5, label=f"stand-in: {name}")[0]
        for i, name in enumerate(stand_ins)
    ]
    figure.legend(handles=[*shown.values(), *marks], loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    with writing(out) as temporary:
        figure.savefig(temporary, dpi=110, format=out.suffix.removeprefix("."))


def write_falls(table: Path) -> None:
    """Put the table of falls above the lines of a suite's table, and draw the picture beside it.

    Without matplotlib (extra ``plot``) there is no picture, and a line says so.

    Args:
        table: ``out/<suite>.md``, with ``.csv`` beside it; gets ``.png`` and ``.svg``.
    """
    falls = read_falls(pd.read_csv(table.with_suffix(".csv")))
    if falls.empty:
        return
    title, command, *rest = table.read_text(encoding="utf-8").split("\n\n", 2)
    picture = f"![metrics against the share of missing vectors]({table.stem}.png)"
    try:
        for suffix in (".png", ".svg"):
            draw_falls(falls, table.with_suffix(suffix))
    except InputError as error:
        picture = f"No picture: {error}."
    explained = "Each movie loses the vector of each field with the probability of the column."
    parts = [title, command, explained, picture, falls_table(falls).rstrip("\n"), "## All rows", *rest]
    write_text(table, "\n\n".join(parts))
