from __future__ import annotations

import json

from recbole_mm.benchmark.kept import keep
from recbole_mm.benchmark.key import make_cell
from recbole_mm.benchmark.runner import run_cell
from recbole_mm.benchmark.table import lines_of


def test_what_a_tool_tried_are_lines_of_the_table(planted, tmp_path):
    own = planted.options(epochs=1, protocol="ranking")
    for tool, options in (("logistic", {}), ("missing", {"metrics": ["RMSE", "genre_map"]})):
        given = {**own, **options, "model": "MMFS", "tool": tool}
        given.pop("protocol")
        cell = make_cell(tool, planted.name, given, "ranking", 1, tmp_path)
        assert run_cell(cell) is None
        lines = {line["row"]: line for line in lines_of(keep(cell), "test")}
        if tool == "logistic":
            assert set(lines) == {"logistic: text", "logistic: audio", "logistic: all"}
            assert lines["logistic: all"]["genre_map"] > 0.9
        else:
            assert len(lines) == 1 + 4 * 3
            assert lines["missing: all 100%"]["genre_map"] < lines["missing: nothing"]["genre_map"]


def test_rivals_lose_their_vectors_at_test_time(planted, tmp_path):
    given = {**planted.data_options(epochs=1, learning_rate=0.01), "modalities": ["text", "audio"], "tool": "missing"}
    for model in ("VBPR", "FREEDOM"):
        cell = make_cell(model, planted.name, {**given, "model": model}, "ranking", 1, tmp_path)
        assert run_cell(cell) is None
        lines = {line["row"].removeprefix(f"{model}: "): line["mrr@10"] for line in lines_of(keep(cell), "test")}
        assert len(lines) == 1 + 4 * 3 and len(set(lines.values())) > 3
    cell = make_cell("BPR", planted.name, {**given, "model": "BPR"}, "ranking", 1, tmp_path)
    assert "BPR has no vectors that can be taken away after training" in run_cell(cell)


def test_a_refitted_model_that_loses_nothing_has_the_numbers_of_its_run(planted, tmp_path):
    given = {**planted.options(epochs=2, refit=True), "model": "MMFS", "metrics": ["RMSE", "genre_map"]}
    lost, whole = (
        make_cell(tool, planted.name, {**given, "tool": tool}, "ranking", 1, tmp_path) for tool in ("missing", "run")
    )
    assert [run_cell(lost), run_cell(whole)] == [None, None]
    nothing, run = json.loads(lost.file.read_text())["lines"][0], json.loads(whole.file.read_text())
    assert (nothing["row"], nothing["valid"], nothing["test"]) == ("nothing", run["valid"], run["test"])


def test_a_process_that_fails_says_why(planted, tmp_path):
    options = {**planted.options(), "model": "MMFS", "metrics": ["NDCG"], "topk": [5000]}
    cell = make_cell("row", planted.name, options, "ranking", 1, tmp_path)
    assert "option 'topk': 5000, but only 90 items" in run_cell(cell)
    assert not cell.done and "Traceback" in cell.file.with_suffix(".log").read_text()
