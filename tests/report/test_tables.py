from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from recbole_mm.report.significance import UserTotals
from recbole_mm.report.tables import differences, latex, significance, summary


def test_rows_are_tested_against_the_best_baseline():
    random = np.random.default_rng(0)
    totals = {
        row: {("ranking", 1): {"ndcg@10": of_users(level + random.normal(size=50) * 0.05)}}
        for row, level in (("ours", 0.5), ("EASE", 0.3), ("Pop", 0.1))
    }
    tests = significance({"ranking": totals}, ["EASE", "Pop"])
    text = tests.markdown
    assert list(tests.table["verdict"]) == ["better", "worse"] and set(tests.table["reference"]) == {"EASE"}
    lines = [[part.strip() for part in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")][
        1:
    ]
    assert [(line[0], line[2], line[3], line[-2], line[-1]) for line in lines] == [
        ("ours", "ndcg@10", "EASE", "50", "better"),
        ("Pop", "ndcg@10", "EASE", "50", "worse"),
    ]
    low, high = tests.table["low"], tests.table["high"]
    assert lines[0][5] == f"{low[0]:+.4f} to {high[0]:+.4f}" and (low < tests.table["difference"]).all()
    assert significance({"ranking": totals}, []).markdown == ""


def of_users(values) -> UserTotals:
    return UserTotals(np.array([b"%d" % user for user in range(10, 10 + len(values))]), values, np.ones(len(values)))


def test_differences_are_between_runs_of_one_seed():
    rows = [("full", 1, 0.90), ("full", 2, 0.80), ("less", 1, 0.93), ("less", 2, 0.81), ("broken", 1, None)]
    table = pd.DataFrame(rows, columns=["row", "seed", "rmse"]).assign(protocol="u1", failure=None)
    table.loc[table["row"] == "broken", "failure"] = "no memory"
    text = differences(table, {"against": "full"})
    assert [part.strip() for part in text.splitlines()[-1].split("|")[1:-1]] == ["less", "u1", "+0.0200 ± 0.0141"]
    assert "broken" not in text


def test_differences_are_between_means_of_folds():
    rows = [("full", "u1", 0.90), ("full", "u2", 0.80), ("less", "u1", 0.93), ("less", "u2", 0.85)]
    table = pd.DataFrame(rows, columns=["row", "protocol", "rmse"]).assign(seed=1, failure=None)
    text = differences(table, {"against": "full"})
    assert [part.strip() for part in text.splitlines()[-1].split("|")[1:-1]] == ["less", "mean of 2 folds", "+0.0400"]


def test_a_protocol_is_tested_by_itself_and_the_folds_together():
    """The same user has other ratings in each fold."""
    totals: dict[str, dict[str, dict]] = {}
    for number, (protocol, gain) in enumerate((("u1", 0.5), ("u2", 0.5), ("cold-item", -0.5))):
        for row, error in (("full", 1.0), ("less", 1.0 + gain)):
            noise = np.random.default_rng(number).normal(size=40) * 0.01
            run = {(protocol, 1): {"rmse": of_users(error + noise * (row == "less"))}}
            totals.setdefault(protocol, {})[row] = run
    table = significance(totals, ["full"]).table.set_index("protocol")
    assert table["verdict"].to_dict() == {"mean of 2 folds": "worse", "cold-item": "better"}
    assert table["difference"].to_dict() == pytest.approx(
        {"mean of 2 folds": 1.5**0.5 - 1, "cold-item": 0.5**0.5 - 1}, abs=0.01
    )
    assert table["units"].to_dict() == {"mean of 2 folds": 40, "cold-item": 40}


def test_latex_is_the_same_table():
    rows = [("a_b", 1, 0.90), ("a_b", 2, 0.80), ("broken", 1, None)]
    table = pd.DataFrame(rows, columns=["row", "seed", "rmse"]).assign(protocol="u1", failure=None)
    table.loc[table["row"] == "broken", "failure"] = "50 % gone"
    lines = latex(table, {}).splitlines()
    assert lines[0] == r"\begin{tabular}{lll}" and lines[-1] == r"\end{tabular}"
    assert any(line.split() == [r"a\_b", r"&", r"u1", r"&", r"0.8500", r"$\pm$", r"0.0707", r"\\"] for line in lines)
    assert any(line.split()[:5] == ["broken", "&", "u1", "&", "failed"] for line in lines)


def test_what_is_counted_has_no_decimals():
    rows = [("one", 1, 9.0, 0.25, 1.0), ("one", 2, 11.0, 0.75, 1.0), ("other", 1, 9.0, 2.5, 5_000.0)]
    table = pd.DataFrame(rows, columns=["row", "seed", "epochs", "epoch_seconds", "parameters"])
    _, lines = summary(
        table.assign(protocol="u1", failure=None), {"columns": ["epochs", "epoch_seconds", "parameters"]}
    )
    assert [line[2:] for line in lines] == [["10 ± 1", "0.5000 ± 0.3536", "1 ± 0"], ["9", "2.5000", "5,000"]]
