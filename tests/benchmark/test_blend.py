from __future__ import annotations

import json

import numpy as np
import pytest

from recbole_mm.benchmark.cell import Cell
from recbole_mm.benchmark.key import make_cell
from recbole_mm.benchmark.runner import run_cell


def blend(planted, folder, *parts: dict, **options) -> Cell:
    given = {**planted.data_options(epochs=2), "model": parts[0]["model"], "tool": "blend", "parts": list(parts)}
    return make_cell("blend", planted.name, {**given, **options}, "u1", 1, folder)


@pytest.mark.parametrize("refit", [False, True])
def test_a_blend_is_the_mean_of_what_its_parts_predict(planted, tmp_path, refit):
    """With refit as well: then each part is trained again on validation rows too, with its own number of epochs."""
    parts = {"model": "Bias", "biases": ["user"]}, {"model": "FM", "embedding_size": 4}
    both = blend(planted, tmp_path, *parts, refit=refit)
    assert run_cell(both) is None and both.done
    alone = [
        make_cell("x", planted.name, {**planted.data_options(epochs=2, refit=refit), **part}, "u1", 1, tmp_path)
        for part in parts
    ]
    assert [run_cell(cell) for cell in alone] == [None, None]
    tables = [by_pair(cell) for cell in (both, *alone)]
    assert tables[0].keys() == tables[1].keys() == tables[2].keys()
    mean = {pair: (tables[1][pair][1] + tables[2][pair][1]) / 2 for pair in tables[0]}
    assert {pair: predicted for pair, (_, predicted) in tables[0].items()} == pytest.approx(mean, abs=1e-5)
    error = np.sqrt(np.mean([(rating - predicted) ** 2 for rating, predicted in tables[0].values()]))
    result = json.loads(both.file.read_text())
    assert result["test"]["rmse"] == pytest.approx(error, abs=1e-4) and set(result["valid"]) == {"rmse", "mae"}


def by_pair(cell: Cell) -> dict[tuple[bytes, bytes], tuple[float, float]]:
    with np.load(cell.predictions) as arrays:
        pairs = zip(arrays["user"].tolist(), arrays["item"].tolist())
        return dict(zip(pairs, zip(arrays["rating"].tolist(), arrays["predicted"].tolist())))


def test_what_a_part_depends_on_is_in_the_key_of_the_blend(planted, tmp_path):
    names = {
        blend(planted, tmp_path, {"model": "Bias"}, part).file.name
        for part in ({"model": "FM"}, {"model": "FM", "embedding_size": 4}, {"model": "LR"})
    }
    assert len(names) == 3


def test_a_part_that_predicts_no_ratings_is_an_error(planted, tmp_path):
    cell = blend(planted, tmp_path, {"model": "Bias"}, {"model": "MMFS", "tasks": ["ranking"], "metrics": ["NDCG"]})
    assert "MMFS must predict ratings" in run_cell(cell)
    assert "option parts, a list of options" in run_cell(blend(planted, tmp_path, {"model": "Bias"}, parts=[]))
