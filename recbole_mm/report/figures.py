"""Plotly figures of the HTML report. The page sets the colours of text and grid: see report.html.jinja."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from recbole_mm.inference.projection import two_dimensions
from recbole_mm.report.curves import PANELS, series_of
from recbole_mm.report.falls import CASES
from recbole_mm.report.results import COSTS, Line, Run, better, is_ours

COLOURS = ("#4c78a8", "#f58518", "#54a24b", "#e45756", "#72b7b2", "#b279a2", "#d4a72c", "#ff9da6", "#9d755d", "#8c8c8c")
DASHES = ("solid", "dash", "dot", "dashdot")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x")
# t-SNE takes seconds for some thousand movies, minutes for ten times as many.
MAX_MOVIES = 4000


def row_label(row: str) -> str:
    """Name of a row in plotly's markup; bold for models of this package."""
    return f"<b>{html.escape(row)}</b>" if is_ours(row) else html.escape(row)


def number(column: str, value: float) -> str:
    """A number as text: metrics with four decimals, costs with fewer decimals the larger they are."""
    if column not in COSTS:
        return f"{value:.4f}"
    whole = column in ("parameters", "epochs") or abs(value) >= 1000
    return f"{value:,.0f}" if whole else f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3f}"


def bars(lines: Sequence[Line], metric: str) -> go.Figure:
    """One bar for each row with its standard deviation over seeds, the best on top; one colour for each protocol.

    If lower is better (RMSE), bars start a little below the best value and the axis states the start. Bars from 0
    would all look the same.
    """
    lines = [line for line in lines if np.isfinite(line.mean.get(metric, np.nan))]
    low = better(metric) == "low"
    best = {}
    for line in lines:
        value = line.mean[metric] if low else -line.mean[metric]
        best[line.row] = min(best.get(line.row, np.inf), value)
    order = sorted(best, key=best.get)
    protocols = list(dict.fromkeys(line.protocol for line in lines))
    deviations = [_number(line.deviation[metric]) for line in lines]
    values = [line.mean[metric] for line in lines]
    start = _axis_start([value - deviation for value, deviation in zip(values, deviations)]) if low else 0.0
    end = max(value + deviation for value, deviation in zip(values, deviations))
    figure = go.Figure()
    for i, protocol in enumerate(protocols):
        shown = sorted((line for line in lines if line.protocol == protocol), key=lambda line: order.index(line.row))
        figure.add_bar(
            orientation="h",
            name=html.escape(protocol),
            y=[row_label(line.row) for line in shown],
            base=start,
            x=[line.mean[metric] - start for line in shown],
            error_x={"type": "data", "array": [_number(line.deviation[metric]) for line in shown], "thickness": 1.3},
            text=[number(metric, line.mean[metric]) for line in shown],
            textposition="inside",
            insidetextanchor="start",
            marker_color=COLOURS[i % len(COLOURS)],
            hovertemplate="%{y}: %{text} ± %{error_x.array:.4f}<extra>" + html.escape(protocol) + "</extra>",
        )
    title = f"{metric} (lower is better; the axis starts at {start:g})" if low else metric
    figure.update_layout(
        height=130 + (24 * len(protocols) + 8) * len(order),
        showlegend=len(protocols) > 1,
        xaxis={"title": html.escape(title), "range": [start, end + 0.03 * (end - start)]},
        yaxis={
            "autorange": "reversed",
            "automargin": True,
            "type": "category",
            "categoryorder": "array",
            "categoryarray": [row_label(row) for row in order],
        },
        legend={"traceorder": "normal"},
    )
    return figure


def curves(runs: Sequence[Run]) -> go.Figure | None:
    """A panel for each metric in `PANELS` that a run has, a line for each run, a dot at its best epoch."""
    results = [run for run in runs if run.result]
    panels = [name for name in PANELS if any(series_of(run.result, name) for run in results)]
    if not panels:
        return None
    rows = (len(panels) + 1) // 2
    titles = [PANELS[name] for name in panels]
    figure = make_subplots(rows=rows, cols=min(2, len(panels)), subplot_titles=titles, vertical_spacing=0.3 / rows)
    for i, run in enumerate(results):
        colour, label = COLOURS[i % len(COLOURS)], f"{html.escape(run.row)}, seed {run.seed}"
        in_legend = False
        for j, name in enumerate(panels):
            points = series_of(run.result, name)
            if not points:
                continue
            best_epoch = run.result["best_epoch"]
            figure.add_scatter(
                x=[epoch for epoch, _ in points],
                y=[value for _, value in points],
                mode="lines+markers",
                line={"color": colour, "dash": DASHES[i // len(COLOURS) % len(DASHES)]},
                marker={"size": [9 * (epoch == best_epoch) for epoch, _ in points], "color": colour, "opacity": 1},
                name=label,
                legendgroup=label,
                showlegend=not in_legend,
                hovertemplate="epoch %{x}: %{y:.4f}<extra>" + label + "</extra>",
                row=j // 2 + 1,
                col=j % 2 + 1,
            )
            in_legend = True
    figure.update_xaxes(title="epoch")
    figure.update_layout(height=90 + 290 * rows + 22 * (len(results) // 4 + 1), legend={"y": 1 + 0.12 / rows})
    return figure


def confusion(runs: Iterable[Run]) -> tuple[go.Figure, int] | None:
    """For each true genre (row) the mean predicted probability of each genre over all runs, divided by the row's sum.

    Returns:
        The heatmap, and its number of held-out movies (over all runs); None if no run predicts genres.
    """
    names: list[str] = []
    targets, probabilities = [], []
    for run in runs:
        predictions = run.predictions("genre_names", "genre_target", "genre_probability")
        if predictions is None or (names and _text(predictions["genre_names"]) != names):
            continue
        names = _text(predictions["genre_names"])
        targets.append(predictions["genre_target"].astype(float))
        probabilities.append(predictions["genre_probability"].astype(float))
    if not targets:
        return None
    target, probability = np.concatenate(targets), np.concatenate(probabilities)
    n_movies = target.sum(axis=0)
    has_movies = n_movies > 0
    mean = target.T[has_movies] @ probability / n_movies[has_movies, None]
    labels = [html.escape(name) for name in names]
    fraction = mean / mean.sum(axis=1, keepdims=True)
    figure = go.Figure(
        go.Heatmap(
            z=_rounded(fraction),
            x=labels,
            y=[label for label, shown in zip(labels, has_movies) if shown],
            customdata=_rounded(np.dstack([mean, np.broadcast_to(n_movies[has_movies, None], mean.shape)])),
            colorscale="Viridis",
            zmin=0,
            zmax=float(fraction.max()),
            xgap=1,
            ygap=1,
            colorbar={"title": "fraction", "thickness": 14},
            hovertemplate=(
                "true %{y} (%{customdata[1]} movies)<br>predicted %{x}: fraction %{z:.3f}, "
                "mean probability %{customdata[0]:.3f}<extra></extra>"
            ),
        )
    )
    figure.update_layout(
        height=170 + 26 * int(has_movies.sum()),
        xaxis={"title": "predicted genre", "tickangle": -45, "automargin": True, "constrain": "domain"},
        yaxis={"title": "true genre", "autorange": "reversed", "automargin": True},
    )
    return figure, len(target)


def movie_map(run: Run) -> tuple[go.Figure, int] | None:
    """Movies with genres in two dimensions (t-SNE of their first 30 principal components), coloured by genre.

    The colour of a movie is its rarest genre, which tells more than a frequent one such as Drama.

    Returns:
        The map and the number of its movies; None if the run has no embeddings.
    """
    predictions = run.predictions("genre_names", "movie", "movie_title", "movie_embedding", "movie_genre")
    if predictions is None:
        return None
    shown = np.flatnonzero(predictions["movie_genre"].any(axis=1))
    if len(shown) > MAX_MOVIES:
        shown = np.sort(np.random.default_rng(0).choice(shown, MAX_MOVIES, replace=False))
    if len(shown) < 4:
        return None
    genres = predictions["movie_genre"][shown].astype(bool)
    points = two_dimensions(predictions["movie_embedding"][shown].astype(float))
    frequency = predictions["movie_genre"].sum(axis=0)
    rarest = np.where(genres, frequency, frequency.max() + 1).argmin(axis=1)
    names = [html.escape(name) for name in _text(predictions["genre_names"])]
    titles, tokens = (_text(predictions[name][shown]) for name in ("movie_title", "movie"))
    labels = [
        f"{html.escape(title or token)}<br>{', '.join(name for name, has in zip(names, movie) if has)}"
        for title, token, movie in zip(titles, tokens, genres)
    ]
    figure = go.Figure()
    drawn = [genre for genre in np.argsort(-frequency, kind="stable") if (rarest == genre).any()]
    for i, genre in enumerate(drawn):
        of_genre = np.flatnonzero(rarest == genre)
        figure.add_scatter(
            x=_rounded(points[of_genre, 0]),
            y=_rounded(points[of_genre, 1]),
            mode="markers",
            name=f"{names[genre]} ({len(of_genre)})",
            text=[labels[j] for j in of_genre],
            hovertemplate="%{text}<extra></extra>",
            marker={"size": 7, "opacity": 0.8, "color": _hue(i, len(drawn)), "symbol": SYMBOLS[i % len(SYMBOLS)]},
        )
    hidden = {"showticklabels": False, "showgrid": False, "zeroline": False}
    figure.update_layout(
        height=680, xaxis=hidden, yaxis={**hidden, "scaleanchor": "x"}, legend={"y": 0, "yanchor": "top"}
    )
    return figure, len(shown)


def warm_and_cold(pairs: Sequence[tuple[str, list[Line]]], metric: str) -> go.Figure | None:
    """A dot with its standard deviation for each protocol of a row, all on one line: the distance of cold and warm.

    Args:
        pairs: (`row_label` of the row, its lines).
    """
    pairs = [(row, [line for line in lines if np.isfinite(line.mean.get(metric, np.nan))]) for row, lines in pairs]
    pairs = [(row, lines) for row, lines in pairs if len(lines) > 1]
    if not pairs:
        return None
    figure = go.Figure()
    for row, lines in pairs:
        values = [line.mean[metric] for line in lines]
        figure.add_scatter(
            x=[min(values), max(values)],
            y=[row, row],
            mode="lines",
            line={"color": "#8c8c8c", "width": 3},
            showlegend=False,
            hoverinfo="skip",
        )
    protocols = list(dict.fromkeys(line.protocol for _, lines in pairs for line in lines))
    protocols.sort(key=lambda name: name == "cold-item")
    for i, protocol in enumerate(protocols):
        shown = [(row, line) for row, lines in pairs for line in lines if line.protocol == protocol]
        figure.add_scatter(
            x=[line.mean[metric] for _, line in shown],
            y=[row for row, _ in shown],
            error_x={"type": "data", "array": [_number(line.deviation[metric]) for _, line in shown], "thickness": 1.3},
            mode="markers",
            name=html.escape(protocol),
            marker={"size": 12, "symbol": SYMBOLS[i % len(SYMBOLS)], "color": COLOURS[i % len(COLOURS)]},
            hovertemplate="%{y}: %{x:.4f} ± %{error_x.array:.4f}<extra>" + html.escape(protocol) + "</extra>",
        )
    figure.update_layout(
        height=150 + 34 * len(pairs),
        xaxis={"title": f"{html.escape(metric)}{' (lower is better)' if better(metric) == 'low' else ''}"},
        yaxis={"autorange": "reversed", "automargin": True, "type": "category"},
    )
    return figure


def falls(values: pd.DataFrame) -> go.Figure:
    """One metric under one protocol against the share of missing vectors: a line for each model and case.

    Args:
        values: of `recbole_mm.report.falls.read_falls`, for one protocol and one metric.
    """
    metric, models = values["metric"].iloc[0], list(values["model"].unique())
    figure = make_subplots(
        rows=1, cols=2, shared_yaxes=True, subplot_titles=[f"missing {when}" for when in CASES], horizontal_spacing=0.03
    )
    stand_ins = [name for name in values["stand_in"].unique() if name]
    in_legend: set[str] = set()
    for (model, when, stand_in), line in values.groupby(["model", "when", "stand_in"], sort=False):
        line = line.sort_values("share")
        name = html.escape(f"{model}, {stand_in}" if stand_in else model)
        symbol = SYMBOLS[1 + stand_ins.index(stand_in) % (len(SYMBOLS) - 1)] if stand_in else SYMBOLS[0]
        figure.add_scatter(
            x=line["share"],
            y=_rounded(line["mean"].to_numpy()),
            error_y={"type": "data", "array": [_number(one) for one in line["deviation"]], "thickness": 1.3},
            mode="markers" if stand_in else "lines+markers",
            marker={"color": COLOURS[models.index(model) % len(COLOURS)], "symbol": symbol, "size": 8},
            name=name,
            legendgroup=name,
            showlegend=name not in in_legend,
            hovertemplate="%{x} %: %{y:.4f} ± %{error_y.array:.4f}<extra>" + name + "</extra>",
            row=1,
            col=1 + CASES.index(when),
        )
        in_legend.add(name)
    figure.update_xaxes(title="vectors that are missing, %", range=[-4, 104])
    title = f"{html.escape(metric)}{' (lower is better)' if better(metric) == 'low' else ''}"
    figure.update_yaxes(title=title, row=1, col=1)
    figure.update_layout(height=440 + 22 * (len(in_legend) // 3 + 1), legend={"y": -0.17, "yanchor": "top"})
    return figure


def _axis_start(values: Sequence[float]) -> float:
    """A round number below all values: by a third of their range or a twentieth of the lowest value."""
    lowest, value_range = min(values), max(values) - min(values)
    return max(0.0, np.floor((lowest - max(value_range / 3, lowest / 20)) * 50) / 50)


def _text(values: np.ndarray) -> list[str]:
    return np.char.decode(values, "utf-8").tolist()


def _hue(i: int, n_colours: int) -> str:
    return f"hsl({round(360 * i / n_colours)}, 70%, {(45, 60)[i % 2]}%)"


def _number(deviation: float) -> float:
    return float(deviation) if np.isfinite(deviation) else 0.0


def _rounded(values: np.ndarray) -> list:
    return np.round(values, 4).tolist()
