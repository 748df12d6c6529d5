from __future__ import annotations

import numpy as np
import pytest
from results_folder import GENRES, write_results

from recbole_mm.report import figures
from recbole_mm.report.results import Line, better, read_suites


@pytest.fixture
def suites(tmp_path):
    return {suite.name: suite for suite in read_suites(write_results(tmp_path))}


def run_of(suite, row):
    return next(run for run in suite.runs() if run.row == row)


def test_bars_are_means_with_deviations_best_on_top(suites):
    rating = suites["rating"]
    figure = figures.bars(rating.lines(), "rmse")
    folds, first = figure.data
    assert list(folds.y) == ["<b>MMASP</b>", "Bias"] and (folds.name, first.name) == ("mean of 2 folds", "u1")
    np.testing.assert_allclose(np.add(folds.x, folds.base), [0.965, 1.015])
    np.testing.assert_allclose(folds.error_x.array, [0.01 / np.sqrt(2)] * 2)
    start, end = figure.layout.xaxis.range
    assert (
        start == folds.base < 0.965 - 0.01 and end > 1.02 and f"starts at {start:g}" in figure.layout.xaxis.title.text
    )

    (ndcg,) = figures.bars(suites["ranking"].lines(), "ndcg@10").data
    assert ndcg.base == 0 and ndcg.y[0] == "EASE" and ndcg.error_x.array[0] == 0


def test_curves_show_what_each_run_has(suites):
    runs = [run_of(suites["ranking"], row) for row in ("MMASP", "EASE")]
    figure = figures.curves(runs)
    titles = [title.text for title in figure.layout.annotations]
    assert titles == ["validation RMSE", "validation NDCG@10", "validation genre mAP", "discriminator accuracy"]
    assert [trace.name for trace in figure.data] == ["MMASP, seed 1"] * 4 + ["EASE, seed 1"]
    np.testing.assert_allclose(figure.data[-1].y, [0.5, 0.45, 0.4 + 0.1 / 3])
    assert figure.data[0].x == (1, 2, 3) and np.argmax(figure.data[0].marker.size) == 1
    assert figures.curves([]) is None


def test_confusion_is_the_mean_probability_given_a_true_genre(suites):
    runs = [run for run in suites["ranking"].runs() if run.row == "MMASP"]
    figure, movies = figures.confusion(runs)
    heatmap, mean = figure.data[0], np.array(figure.data[0].customdata)[:, :, 0]
    assert movies == 12 and heatmap.y == ("Action", "Drama", "Sci-Fi &amp; &lt;more&gt;")
    # 6 movies for each run: two of each kind; one Action movie is Sci-Fi too.
    expected = [[0.9, 0.1, 0.5], [0.1, 0.9, 0.1], [0.9 / 3 + 0.2 / 3, 0.1, 0.9]]
    np.testing.assert_allclose(mean, expected, atol=1e-3)
    np.testing.assert_allclose(heatmap.z, mean / mean.sum(axis=1, keepdims=True), atol=1e-3)
    assert np.array(heatmap.customdata)[:, 0, 1].tolist() == [4, 4, 6]
    assert figures.confusion([run_of(suites["ranking"], "EASE")]) is None


def test_map_keeps_kinds_together_and_is_the_same_each_time(suites):
    run = run_of(suites["ranking"], "MMFS")
    figure, movies = figures.movie_map(run)
    assert movies == 30 and sorted(trace.name.split(" (")[0] for trace in figure.data) == sorted(
        name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") for name in GENRES
    )
    points = [np.column_stack([trace.x, trace.y]) for trace in figure.data]
    centres = np.array([group.mean(axis=0) for group in points])
    for i, group in enumerate(points):
        nearest = np.linalg.norm(group[:, None] - centres, axis=2).argmin(axis=1)
        assert (nearest == i).all()
    assert "Amélie<br>Drama" in {text for trace in figure.data for text in trace.text}
    assert "4<br>Drama" in {text for trace in figure.data for text in trace.text}  # no title: the id
    assert figures.movie_map(run)[0].to_json() == figure.to_json()
    assert figures.movie_map(run_of(suites["ranking"], "EASE")) is None


def test_a_large_catalogue_is_sampled(suites, monkeypatch):
    monkeypatch.setattr(figures, "MAX_MOVIES", 12)
    assert figures.movie_map(run_of(suites["ranking"], "MMFS"))[1] == 12


def test_warm_and_cold_of_one_row_lie_on_one_line(suites):
    lines = [line for name in ("ranking", "cold-item") for line in suites[name].lines() if line.row == "MMASP"]
    figure = figures.warm_and_cold([("MMASP", lines), ("alone", lines[:1])], "rmse")
    between, warm, cold = figure.data
    assert between.x == pytest.approx((0.9, 1.0)) and (warm.name, cold.name) == ("ranking", "cold-item")
    assert warm.x == pytest.approx((0.9,)) and cold.x == pytest.approx((1.0,)) and cold.y == ("MMASP",)
    assert figures.warm_and_cold([("alone", lines[:1])], "rmse") is None


def test_labels_are_escaped():
    line = Line("a<b", "p<q", {"ndcg@10": 0.3}, {"ndcg@10": float("nan")}, 1)
    (bar,) = figures.bars([line], "ndcg@10").data
    assert bar.y == ("a&lt;b",) and bar.name == "p&lt;q"


@pytest.mark.parametrize(
    "column, value, expected",
    [("rmse", 0.91234, "0.9123"), ("parameters", 605800.0, "605,800"), ("epoch_seconds", 0.5262, "0.526")],
)
def test_numbers_as_their_columns_show_them(column, value, expected):
    assert figures.number(column, value) == expected


@pytest.mark.parametrize(
    "name, expected",
    [
        ("rmse", "low"),
        ("cold_mae", "low"),
        ("rated_ndcg@10", "high"),
        ("genre_map", "high"),
        ("rated_ndcg@10_random", ""),
        ("x", ""),
    ],
)
def test_which_way_a_column_is_better(name, expected):
    assert better(name) == expected
