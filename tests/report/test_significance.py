from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from recbole_mm.report.significance import Comparison, UserTotals, compare, holm, user_totals

RUN = ("u1", 1)


def of_users(values, counts=None) -> UserTotals:
    """Totals of users b'000', b'001', …; counts of 1 unless given."""
    users = np.array([b"%05d" % user for user in range(len(values))])
    return UserTotals(users, np.asarray(values, float), np.ones(len(values), int) if counts is None else counts)


def compared(rows: dict, baselines: list[str], metric: str) -> dict[str, Comparison]:
    return {one.row: one for one in compare({row: {RUN: totals} for row, totals in rows.items()}, baselines, metric)}


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
    base = random.normal(size=400) + 5
    values = {
        "ours": base + 0.5 + random.normal(size=400) * 0.1,
        "the same": base + random.normal(size=400) * 0.1,
        "strong": base,
        "weak": base - 1 + random.normal(size=400) * 0.1,
    }
    found = compared({row: of_users(one) for row, one in values.items()}, ["weak", "strong"], "ndcg@10")
    assert {one.reference for one in found.values()} == {"strong"} and "strong" not in found
    assert {row: one.verdict for row, one in found.items()} == {"ours": "better", "the same": "tie", "weak": "worse"}
    # A metric that is a mean over users has the usual paired test and the usual effect.
    expected = ttest_rel(values["the same"], values["strong"]).pvalue
    assert found["the same"].p == pytest.approx(expected)  # the largest of the three keeps its p
    paired = values["ours"] - values["strong"]
    assert found["ours"].effect == pytest.approx(paired.mean() / paired.std(ddof=1))
    assert found["ours"].difference == pytest.approx(paired.mean()) and found["ours"].units == 400
    error = paired.std(ddof=1) / 20
    assert found["ours"].low == pytest.approx(paired.mean() - 1.96 * error, abs=0.2 * error)
    assert found["ours"].high == pytest.approx(paired.mean() + 1.96 * error, abs=0.2 * error)
    # The same numbers as squared errors: lower is better.
    found = compared({row: of_users(one) for row, one in values.items()}, ["weak", "strong"], "rmse")
    assert {row: one.verdict for row, one in found.items()} == {
        "ours": "worse",
        "the same": "worse",
        "strong": "worse",
    }


def test_a_row_without_a_finite_number_is_no_reference_and_no_tie():
    values = np.random.default_rng(0).normal(size=50)
    rows = {"a": of_users(np.full(50, np.nan)), "b": of_users(values), "ours": of_users(values + 1)}
    found = compared(rows, ["a", "b"], "ndcg@10")
    assert list(found) == ["ours"] and found["ours"].reference == "b"
    assert compared(rows, ["a"], "ndcg@10") == {}


def test_ratings_of_one_user_count_as_one_unit():
    """Two rows differ by user, not by rating: a test that took ratings as independent would be too sure."""
    random = np.random.default_rng(3)
    users, each = 40, 100
    gain = np.repeat(random.normal(0.01, 0.1, users), each)
    base = random.chisquare(1, users * each)
    one, other = ((base + shift).reshape(users, each).sum(axis=1) for shift in (gain, 0.0))
    counts = np.full(users, each)
    found = compared({"a": of_users(one, counts), "b": of_users(other, counts)}, ["b"], "rmse")["a"]
    assert ttest_rel(base + gain, base).pvalue < 0.01 and found.p > 0.05 and found.verdict == "tie"
    assert found.low < 0 < found.high
    assert found.difference == pytest.approx(np.sqrt((base + gain).mean()) - np.sqrt(base.mean()))


def test_interval_and_test_agree_with_many_repetitions():
    """The standard deviation of the difference over data drawn anew is what the interval and the test say."""
    random = np.random.default_rng(5)

    def draw() -> dict[str, UserTotals]:
        counts = random.integers(1, 60, 300)
        level = random.normal(1.0, 0.2, 300)  # of a user, the same for both rows
        one, other = (random.gamma(counts * 2, level * scale / 2) for scale in (0.98, 1.0))
        return {"a": of_users(one, counts), "b": of_users(other, counts)}

    found = [compared(draw(), ["b"], "rmse")["a"] for _ in range(60)]
    deviation = np.std([one.difference for one in found])
    width = np.mean([one.high - one.low for one in found]) / (2 * 1.96)
    from_test = np.mean([abs(one.difference) / (abs(one.effect) * np.sqrt(300)) for one in found])
    assert width == pytest.approx(deviation, rel=0.3) and from_test == pytest.approx(width, rel=0.05)


def test_the_mean_over_runs_is_compared_as_in_the_table():
    runs = {
        row: {("u1", seed): of_users([total * seed, 2.0 * seed], np.array([4, 4])) for seed in (1, 2)}
        for row, total in (("a", 6.0), ("b", 14.0))
    }
    runs["a"]["u2", 1] = of_users([100.0], np.array([1]))  # the other row lacks it
    (found,) = compare(runs, ["b"], "rmse")
    assert found.difference == pytest.approx(((1 - np.sqrt(2)) + (np.sqrt(2) - 2)) / 2)


def test_only_users_with_as_many_ratings_in_both_rows_are_compared():
    one, other = of_users([4.0, 1.0, 9.0], np.array([1, 1, 3])), of_users([1.0, 4.0, 9.0], np.array([1, 1, 1]))
    found = compared({"a": one, "b": other}, ["b"], "rmse")["a"]
    assert found.units == 2 and found.difference == pytest.approx(0) and found.p == pytest.approx(1)


def test_intervals_are_the_same_each_time_and_take_seconds():
    random = np.random.default_rng(0)
    rows = {f"row {row}": {("u1", seed): of_users(random.random(943)) for seed in range(15)} for row in range(25)}
    start = time.process_time()
    first = compare(rows, ["row 0"], "rmse")
    assert time.process_time() - start < 20
    assert compare(rows, ["row 0"], "rmse") == first and all(one.low < one.difference < one.high for one in first)


def test_equal_rows_tie_and_without_a_baseline_nothing_is_compared():
    values = {"a": of_users([1, 2, 3]), "b": of_users([1, 2, 3])}
    assert compared(values, ["b"], "rmse")["a"].verdict == "tie"
    assert compared(values, [], "rmse") == {}


def test_totals_are_sums_of_squared_errors_and_values_of_users(tmp_path):
    arrays = {
        "user": np.array([b"7", b"8", b"7"]),
        "item": np.array([b"1", b"1", b"2"]),
        "rating": np.array([4.0, 3.0, 2.0]),
        "predicted": np.array([3.0, 5.0, 2.5], np.float32),
        "ranked_user": np.array([b"8"]),
        "ndcg@10": np.array([0.25]),
        "mrr@10": np.array([0.5]),
    }
    np.savez(tmp_path / "one.npz", **arrays)
    (found,) = [user_totals(tmp_path / "one.npz")]
    assert set(found) == {""} and set(found[""]) == {"rmse", "ndcg@10"}
    rmse, ndcg = found[""]["rmse"], found[""]["ndcg@10"]
    assert dict(zip(rmse.users, zip(rmse.totals, rmse.counts))) == {b"7": (1.25, 2), b"8": (4.0, 1)}
    assert (ndcg.users[0], ndcg.totals[0], ndcg.counts[0]) == (b"8", 0.25, 1)
    np.savez(tmp_path / "lines.npz", **{f"a/{name}": values for name, values in arrays.items()})
    assert set(user_totals(tmp_path / "lines.npz")) == {"a"}
