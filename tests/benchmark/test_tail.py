from __future__ import annotations

import json

import numpy as np
import pytest

from recbole_mm.benchmark.cell import Cell
from recbole_mm.benchmark.kept import keep
from recbole_mm.benchmark.key import make_cell
from recbole_mm.benchmark.runner import run_cell
from recbole_mm.benchmark.tail import BUCKETS


def finished(planted, folder, tool: str, protocol: str, **changes) -> Cell:
    own = planted.options(epochs=2, **changes)
    given = {**own, "model": "MMFS", "tool": tool, "metrics": ["RMSE", "NDCG", "genre_map"], "topk": [10]}
    cell = make_cell(tool, planted.name, given, protocol, 1, folder)
    assert run_cell(cell) is None
    return cell


def test_a_movie_is_in_one_bucket_whatever_its_number_of_ratings():
    for number in (*range(2000), 10**9):
        assert sum(least <= number <= most for least, most in BUCKETS.values()) == 1, number


def test_buckets_have_every_test_row_once(planted, tmp_path):
    """Movies 0 to 29 lose all but a few of their ratings, so that there are four buckets."""
    number = planted.ratings["item_id:token"].str[1:].astype(int)
    rank = planted.ratings.groupby("item_id:token").cumcount()
    planted.ratings = planted.ratings[(number >= 30) | (rank < number // 5)]
    planted.write()
    kept = keep(finished(planted, tmp_path, "tail", "ranking"))
    whole = keep(finished(planted, tmp_path, "run", "ranking"))
    buckets = [line["bucket"] for line in kept.lines]
    assert {"1 to 5 ratings", "6 to 20 ratings"} <= set(buckets) and len(buckets) >= 2
    rmse = [kept.users[bucket]["rmse"] for bucket in kept.users]
    total, count = (sum(values) for values in zip(*((one.totals.sum(), one.counts.sum()) for one in rmse)))
    assert count == whole.users[""]["rmse"].counts.sum()
    assert np.sqrt(total / count) == pytest.approx(whole.lines[0]["test"]["rmse"], abs=1e-4)
    for line in kept.lines:
        if line["bucket"] in kept.users:
            one = kept.users[line["bucket"]]["rmse"]
            assert line["test"]["rmse"] == pytest.approx(np.sqrt(one.totals.sum() / one.counts.sum()), abs=1e-4)


@pytest.mark.parametrize("refit", [False, True])
def test_cold_movies_are_one_bucket_with_the_numbers_of_a_run(planted, tmp_path, refit):
    tail, run = (
        json.loads(finished(planted, tmp_path, tool, "cold-item", refit=refit).file.read_text())
        for tool in ("tail", "run")
    )
    (line,) = tail["lines"]
    assert line["bucket"] == "0 ratings" and {"rmse", "ndcg@10", "genre_map"} <= set(line["test"])
    for part in ("valid", "test"):
        assert line[part] == pytest.approx({name: run[part][name] for name in line[part]}, abs=1e-4)
