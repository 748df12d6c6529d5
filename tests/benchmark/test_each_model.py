"""Suites that run the same rows for each of several models."""

from __future__ import annotations

from recbole_mm.benchmark import suites
from recbole_mm.benchmark.each_model import short_form, with_chosen, with_rows

PLAN = {
    "models": {"A": {"model": "MMASP"}, "B, defaults": {"model": "BM3", "builtin_task": "ranking"}},
    "each_model": {"whole": {}, "half": {"missing_ratio": 0.5}, "half, zeros": {"imputation": "zeros"}},
    "imputed": ["A"],
}


def test_each_row_is_run_for_each_model():
    assert with_rows(PLAN)["rows"] == {
        "A, whole": {"model": "MMASP"},
        "A, half": {"model": "MMASP", "missing_ratio": 0.5},
        "A, half, zeros": {"model": "MMASP", "imputation": "zeros"},
        "B, whole, defaults": {"model": "BM3", "builtin_task": "ranking"},
        "B, half, defaults": {"model": "BM3", "builtin_task": "ranking", "missing_ratio": 0.5},
    }
    assert with_rows({"rows": {"a": {}}}) == {"rows": {"a": {}}}


def test_chosen_models_have_all_rows_and_the_suites_options():
    rows = with_chosen(PLAN, ["B", "C"])["rows"]
    assert list(rows) == [f"{name}, {row}, defaults" for name in "BC" for row in ("whole", "half", "half, zeros")]
    assert rows["B, half, zeros, defaults"]["builtin_task"] == "ranking" and rows["C, whole, defaults"] == {
        "model": "C"
    }


def test_the_short_form_knows_the_options_of_all_models():
    short = short_form(with_rows(PLAN), {"models": ["A"], "each_model": ["whole"]})
    assert short["rows"] == {"A, whole": {"model": "MMASP"}}
    assert with_chosen(short, ["B"])["rows"] == {"B, whole, defaults": {"model": "BM3", "builtin_task": "ranking"}}


def test_the_suite_missing_tells_whose_values_its_rows_have():
    rows = suites._read_plan("missing", "ml-100k-mm")["rows"]
    told = {row for row in rows if row.endswith(", defaults")}
    tuned = {row for row, options in rows.items() if "config_files" in options or options["model"] == "MMASP"}
    assert tuned and told | tuned == set(rows) and not told & tuned
    assert len({options["model"] for options in rows.values()}) == 8
    elsewhere = suites._rows(suites._read_plan("missing", "mine"), "mine")
    assert all(row.endswith(", defaults") for row, _, _ in elsewhere), "tuned values of ml-100k-mm are not used"
