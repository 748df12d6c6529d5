"""Controls on real data: what the content of the movies is worth."""

from __future__ import annotations

import numpy as np
import pytest
from model_contract import run_on_first_fold

from recbole_mm.data.vectors import read_vectors, write_vectors
from recbole_mm.datasets.ml_100k.build import SHIPPED_FIELDS


@pytest.mark.slow
def test_vectors_shuffled_among_the_movies_predict_worse(ml_100k_mm):
    true = run_on_first_fold("MMFS", ml_100k_mm).test["rmse"]
    folder = ml_100k_mm / "ml-100k-mm"
    for field in SHIPPED_FIELDS:
        table = read_vectors(folder, "ml-100k-mm", field)
        order = np.random.default_rng(0).permutation(len(table.item_ids))
        write_vectors(folder / f"ml-100k-mm.{field}", field, table.item_ids, table.values[order])
    shuffled = run_on_first_fold("MMFS", ml_100k_mm).test["rmse"]
    assert shuffled >= true + 0.005
