"""Suites on data that they were not made for: no foreign values, rows the data allow, and what is left out is told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from recbole_mm.benchmark import suites
from recbole_mm.benchmark.kept import read_kept
from recbole_mm.benchmark.values import adapted, takes_values
from recbole_mm.cli.main import main
from recbole_mm.interchange.from_frames import from_frames

TUNED = "tuned/ml-100k-mm/ranking/LightGCN.yaml"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def data(name: str, ratings: bool = True, vectors: bool = True, split: bool = False) -> None:
    random = np.random.default_rng(0)
    pairs = random.permutation(50 * 40)[:800]
    frame = pd.DataFrame({"user": pairs // 40, "item": pairs % 40})
    if ratings:
        frame["rating"] = random.integers(1, 6, 800)
    if split:
        frame["split"] = random.choice([0, 1, 2], 800, p=[0.8, 0.1, 0.1])
    given = {"text": (range(40), random.normal(size=(40, 4)))} if vectors else None
    from_frames(frame, vectors=given, name=name)


@pytest.mark.parametrize(
    ("row", "options", "label", "files"),
    [
        ("LightGCN", {"model": "LightGCN", "config_files": TUNED}, "LightGCN, defaults", None),
        ("MMFS", {"model": "MMFS"}, "MMFS, defaults", None),
        ("Pop", {"model": "Pop"}, "Pop", None),
        ("BPR, RecBole's defaults", {"model": "BPR"}, "BPR, RecBole's defaults", None),
        ("MMASP, paper.yaml", {"model": "MMASP", "config_files": "paper.yaml"}, "MMASP, paper.yaml", "paper.yaml"),
    ],
)
def test_values_of_other_data_are_not_used(row, options, label, files):
    told, changed = adapted(row, options, "ranking", "ml-100k-mm", "mine")
    assert told == label and changed.get("config_files") == files and changed["model"] == options["model"]


def test_values_that_were_tuned_on_the_data_are_used_and_told():
    own = Path("tuned/mine/ranking/LightGCN.yaml")
    own.parent.mkdir(parents=True)
    own.write_text("n_layers: 1\n")
    told, changed = adapted("LightGCN", {"model": "LightGCN", "config_files": TUNED}, "ranking", "ml-100k-mm", "mine")
    assert (told, changed["config_files"]) == ("LightGCN, tuned on mine", str(own))


def chosen(*names: str) -> list[str]:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("embedding_size: 8\n")
    return list(names)


def test_one_choice_serves_all_folds_unless_a_fold_has_its_own():
    u1, u3 = chosen("tuned/mine/u1/FM.yaml", "tuned/mine/u3/FM.yaml")
    chosen("tuned/mine/ranking/FM.yaml")
    options = {"model": "FM", "config_files": "tuned/ml-100k-mm/u1/FM.yaml"}
    for protocol, file in (("u1", u1), ("u2", u1), ("u3", u3)):
        told, changed = adapted("FM", options, protocol, "ml-100k-mm", "mine")
        assert (told, changed["config_files"]) == ("FM, tuned on mine", file)


def test_a_row_with_vectors_takes_no_values_that_were_chosen_without():
    chosen("tuned/mine/u1/FM.yaml")
    options = {"model": "FM", "vector_input": True, "config_files": "tuned/with-vectors/ml-100k-mm/u1/FM.yaml"}
    assert adapted("FM + vectors", options, "u1", "ml-100k-mm", "mine")[0] == "FM + vectors, defaults"
    (with_vectors,) = chosen("tuned/with-vectors/mine/u1/FM.yaml")
    told, changed = adapted("FM + vectors", options, "u2", "ml-100k-mm", "mine")
    assert (told, changed["config_files"]) == ("FM + vectors, tuned on mine", with_vectors)


def test_a_suite_of_the_data_set_itself_tells_whose_values_it_takes():
    options = {"model": "LightGCN", "config_files": TUNED}
    assert adapted("LightGCN", options, "ranking", "mmtf", "mmtf") == ("LightGCN, values of ml-100k-mm", options)
    assert adapted("LightGCN", options, "ranking", "ml-100k-mm", "ml-100k-mm") == ("LightGCN", options)


def test_a_blend_says_where_the_values_of_its_models_come_from():
    parts = [{"model": "LightGCN", "config_files": TUNED}, {"model": "MMASP"}, {"model": "GaussianProcess"}]
    options = {"model": "LightGCN", "tool": "blend", "parts": parts}
    label, changed = adapted("blend", options, "ranking", "ml-100k-mm", "mine")
    assert label == "blend (models: defaults)"
    assert changed["parts"] == [{"model": "LightGCN"}, {"model": "MMASP"}, {"model": "GaussianProcess"}]
    assert adapted("blend", options, "ranking", "ml-100k-mm", "ml-100k-mm") == ("blend", options)


@pytest.mark.parametrize("suite", suites.suite_names())
def test_no_cell_of_other_data_has_a_tuned_file_of_ml_100k(suite):
    data("mine")
    plan = suites._read_plan(suite, "mine")
    for cell in suites._cells(plan, "mine", Path("runs")):
        assert "ml-100k" not in json.dumps(cell.options)
    at_home = suites._rows(suites._read_plan(suite, "ml-100k-mm"), "ml-100k-mm")
    told = {row for row, options, _ in at_home if "defaults" in row and "config_files" in options}
    assert not told, "a row with values of its own is not said to have the defaults"


def small_suite(tmp_path, monkeypatch, rows: dict, **plan) -> None:
    folder = tmp_path / "properties" / "benchmark"
    folder.mkdir(parents=True)
    (folder / "small.yaml").write_text(yaml.safe_dump({"protocols": ["ranking"], "seeds": [1], "rows": rows, **plan}))
    monkeypatch.setattr(suites, "resource_dir", lambda name: tmp_path / name)


ROWS = {
    "Pop": {"model": "Pop"},
    "VBPR": {"model": "VBPR", "epochs": 1},
    "genre ridge": {"model": "GenreRidge", "builtin_task": "rating"},
    "text": {"model": "MMFS", "modalities": ["text"], "tasks": ["ranking"], "epochs": 1},
    "EASE": {"model": "EASE", "config_files": "tuned/ml-100k-mm/ranking/EASE.yaml"},
}


def test_rows_that_the_data_do_not_allow_are_left_out_and_told(tmp_path, monkeypatch, capsys):
    data("bare", ratings=False, vectors=False)
    small_suite(tmp_path, monkeypatch, ROWS)
    assert main(["benchmark", "--dataset=bare", "--suite=small"]) == 0
    told = capsys.readouterr()
    for row, reason in (
        ("VBPR", "VBPR learns from vectors"),
        ("genre ridge", "GenreRidge learns from ratings, but .*has no field 'rating'"),
        ("text, defaults", "vector field 'text' has no file"),
    ):
        assert f"row '{row}' is left out under ranking: " in told.err
        assert f"- {row} (ranking): " in told.out, reason
    assert told.err.index("row 'VBPR' is left out") < told.err.index("small:")  # before anything runs
    lines = pd.read_csv("results/bare/small.csv")
    assert sorted(lines["row"]) == ["EASE, defaults", "Pop"] and lines["ndcg@10"].notna().all()


def test_a_failing_row_makes_the_exit_status_1(tmp_path, monkeypatch, capsys):
    data("mine")
    small_suite(tmp_path, monkeypatch, {"Pop": {"model": "Pop"}, "bad": {"model": "MMFS", "embedding_size": 0}})
    assert main(["benchmark", "--dataset=mine", "--suite=small"]) == 1
    assert "1 run failed, of row bad" in capsys.readouterr().err


def test_a_suite_that_the_data_do_not_allow_is_one_error(tmp_path, monkeypatch, capsys):
    data("bare", ratings=False, vectors=False)
    small_suite(tmp_path, monkeypatch, {"a": {"model": "Bias"}, "b": {"model": "SVDpp"}}, protocols=["u1"])
    assert main(["benchmark", "--dataset=bare", "--suite=small"]) == 2
    assert "Bias learns from ratings, but" in capsys.readouterr().err


@pytest.mark.parametrize("suite", ["ranking", "modalities"])
def test_a_data_set_that_is_not_there_is_one_error_with_the_nearest_name(suite, capsys):
    data("mine")
    for name, meant in (("mmtf-14k-smal", "mmtf-14k-small"), ("mines", "mine")):
        assert main(["benchmark", f"--dataset={name}", f"--suite={suite}"]) == 2
        told = capsys.readouterr().err
        assert told.count("\n") == 1 and f"no folder dataset/{name}. Did you mean '{meant}'?" in told


def test_a_published_split_is_the_protocol_of_ranking_suites(tmp_path, monkeypatch):
    data("fixed", split=True)
    small_suite(tmp_path, monkeypatch, {"Pop": {"model": "Pop"}}, protocols=["ranking", "u1"])
    rows = suites._rows(suites._read_plan("small", "fixed"), "fixed")
    assert [protocol for _, _, protocol in rows] == ["published", "u1"]


def test_a_file_of_the_data_set_changes_what_it_names_or_with_rows_takes_the_suites_place(tmp_path, monkeypatch):
    small_suite(tmp_path, monkeypatch, {"Pop": {"model": "Pop"}, "MMFS": {"model": "MMFS"}}, columns=["rmse"])
    for name, text in (("mine", "seeds: [5, 6]"), ("own", "seeds: [5]\nprotocols: [u1]\nrows: {MMSP: {model: MMSP}}")):
        file = tmp_path / "properties" / "benchmark" / name / "small.yaml"
        file.parent.mkdir()
        file.write_text(text)
    plan = suites._read_plan("small", "mine")
    assert plan["seeds"] == [5, 6] and plan["columns"] == ["rmse"] and set(plan["rows"]) == {"Pop", "MMFS"}
    assert {row for row, _, _ in suites._rows(plan, "mine")} == {"Pop", "MMFS, defaults"}, "the rows are of ml-100k-mm"
    assert suites._read_plan("small", "others")["seeds"] == [1]
    plan = suites._read_plan("small", "own")
    assert set(plan["rows"]) == {"MMSP"} and "columns" not in plan
    assert [row for row, _, _ in suites._rows(plan, "own")] == ["MMSP"]


def test_each_row_is_tuned_with_the_same_number_of_trials(tmp_path, monkeypatch, capsys):
    pytest.importorskip("optuna", reason="optuna (extra 'tune') is not installed")
    data("mine")
    small_suite(tmp_path, monkeypatch, {name: ROWS[name] for name in ("Pop", "EASE")})
    assert main(["benchmark", "--dataset=mine", "--suite=small", "--tune=2"]) == 0
    told = capsys.readouterr().out
    assert "tuning EASE: 2 trials" in told and "trial 2 of 2" in told and "--tune=2" in told
    assert set(pd.read_csv("results/mine/small.csv")["row"]) == {"Pop", "EASE, tuned (2 trials)"}
    assert len(Path("results/mine/tuned/EASE/mine/ranking/EASE.jsonl").read_text().splitlines()) == 3


def test_tuning_some_rows_keeps_the_cells_and_the_places_of_the_others(tmp_path, monkeypatch):
    pytest.importorskip("optuna", reason="optuna (extra 'tune') is not installed")
    data("mine")
    ease = {"model": "EASE", "config_files": "tuned/ml-100k-mm/ranking/EASE.yaml"}
    rows = {"EASE": ease, "Pop": {"model": "Pop"}, "ItemKNN": {**ease, "model": "ItemKNN"}}
    small_suite(tmp_path, monkeypatch, rows, against="EASE")
    out = Path("results/mine")

    def table(*given: str) -> list[str]:
        assert main(["benchmark", "--dataset=mine", "--suite=small", *given]) == 0
        shown = list(pd.read_csv(out / "small.csv")["row"])
        assert [cell.row for cell in read_kept(out, "small").values()] == shown
        text = (out / "small.md").read_text()
        assert "; test part, seed 1. " in text
        assert main(["benchmark", "--dataset=mine", "--suite=small", "--from_cells"]) == 0
        assert list(pd.read_csv(out / "small.csv")["row"]) == shown
        now, again = (one.split("\n\n", 2)[2].partition("\nNot run") for one in (text, (out / "small.md").read_text()))
        assert again[0].strip() == now[0].strip()
        assert again[2].rpartition(": ")[2] == now[2].rpartition(": ")[2], "the same rows have no numbers"
        return shown

    ease, knn = "EASE, tuned (2 trials)", "ItemKNN, tuned (2 trials)"
    assert table("--rows", "Pop", "ItemKNN*") == ["ItemKNN, defaults", "Pop"]
    assert table("--rows", "EASE*", "--tune=2") == [ease, "ItemKNN, defaults", "Pop"]
    assert "Not run" not in (out / "small.md").read_text()
    assert table("--rows", "ItemKNN*", "--tune=2") == [ease, knn, "Pop"]
    assert f"Difference from {ease}" in (out / "small.md").read_text()

    # Numbers of other values than those that are there now are outdated.
    chosen = out / "tuned" / "EASE" / "mine" / "ranking" / "EASE.yaml"
    chosen.write_text(chosen.read_text() + "\nreg_weight: 77.5\n")
    assert table("--rows", "Pop") == [knn, "Pop"]


def test_rows_without_values_are_not_tuned():
    assert takes_values({"model": "MMFS"}) and takes_values({"model": "EASE", "config_files": TUNED})
    assert not takes_values({"model": "BPR"}) and not takes_values({"model": "MMFS", "tool": "logistic"})
    assert takes_values({"model": "MMFS", "tool": "missing"}), "its 0 % is that of a row that is trained anew"


def test_all_suites_leave_out_those_that_the_data_do_not_allow(tmp_path, monkeypatch, capsys):
    data("bare", ratings=False, vectors=False)
    small_suite(tmp_path, monkeypatch, {"Pop": {"model": "Pop"}})
    plan = {"protocols": ["u1"], "seeds": [1], "rows": {"a": {"model": "Bias"}}}
    (tmp_path / "properties" / "benchmark" / "ratings.yaml").write_text(yaml.safe_dump(plan))
    assert main(["benchmark", "--dataset=bare", "--suite=all"]) == 0
    told = capsys.readouterr()
    assert "suite 'ratings' is left out: Bias learns from ratings" in told.err and "report.html" in told.out
    assert Path("results/bare/small.md").is_file() and not Path("results/bare/ratings.md").exists()


def test_a_tuned_file_of_other_data_need_not_be_there(tmp_path, monkeypatch):
    data("mine")
    small_suite(tmp_path, monkeypatch, {"EASE": {"model": "EASE", "config_files": "tuned/ml-100k-mm/ranking/No.yaml"}})
    ((row, options, _),) = suites._rows(suites._read_plan("small", "mine"), "mine")
    assert row == "EASE, defaults" and "config_files" not in options
