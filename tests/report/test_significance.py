from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from recbole_mm.report.significance import compare, holm, units


def series(values) -> pd.Series:
    index = pd.MultiIndex.from_product([range(len(values)), [b""]], names=["user", "item"])
    return pd.Series(np.asarray(values, dtype=float), index=index)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_raises_every_p_and_keeps_their_order(p_values):
    corrected = holm(p_values)
    assert all(p <= q <= 1 for p, q in zip(p_values, corrected))
    order = np.argsort(p_values)
    assert (np.diff(np.array(corrected)[order]) >= 0).all()
    assert corrected[order[0]] == pytest.approx(min(1, len(p_values) * p_values[order[0]]))


def test_a_clear_gain_is_better_a_small_one_a_tie_and_the_best_baseline_is_the_reference():
    random = np.random.default_rng(0)
    base = random.normal(size=400)
    values = {
        "ours": series(base + 0.5 + random.normal(size=400) * 0.1),
        "the same": series(base + random.normal(size=400) * 0.1),
        "strong": series(base),
        "weak": series(base - 1 + random.normal(size=400) * 0.1),
    }
    found = {one.row: one for one in compare(values, ["weak", "strong"], "ndcg@10")}
    assert {one.reference for one in found.values()} == {"strong"} and "strong" not in found
    assert {row: one.verdict for row, one in found.items()} == {"ours": "better", "the same": "tie", "weak": "worse"}
    expected = ttest_rel(values["the same"], values["strong"]).pvalue
    assert found["the same"].p == pytest.approx(expected)  # the largest of the three keeps its p
    # The same numbers as squared errors: lower is better.
    found = {one.row: one.verdict for one in compare(values, ["weak", "strong"], "rmse")}
    assert found == {"ours": "worse", "the same": "worse", "strong": "worse"}


def test_equal_rows_tie_and_without_a_baseline_nothing_is_compared():
    values = {"a": series([1, 2, 3]), "b": series([1, 2, 3])}
    assert [one.verdict for one in compare(values, ["b"], "rmse")] == ["tie"]
    assert compare(values, [], "rmse") == []


def test_units_average_the_runs_of_a_row_and_pair_by_user_and_movie(tmp_path):
    for seed, predicted in ((1, [3.0, 5.0]), (2, [4.0, 5.0])):
        np.savez(
            tmp_path / f"{seed}.npz",
            user=np.array([b"7", b"8"]),
            item=np.array([b"1", b"1"]),
            rating=np.array([4.0, 3.0]),
            predicted=np.array(predicted),
        )
    files = sorted(tmp_path.glob("*.npz"))
    assert units(files, "rmse").to_dict() == {(b"7", b"1"): 0.5, (b"8", b"1"): 4.0}
    assert units(files, "ndcg@10") is None
