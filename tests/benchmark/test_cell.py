from __future__ import annotations

from recbole_mm.benchmark.cell import Cell


def test_options_reach_the_run_as_they_are(tmp_path):
    cell = Cell("row", "x", {"model": "MMFS", "tasks": ["rating"], "tool": "missing"}, "u1", 3, tmp_path / "cell.json")
    assert {"--model=MMFS", "--tasks=[rating]", "--protocol=u1", "--seed=3", "--dataset=x"} <= set(cell.arguments())
    assert cell.tool == "missing" and not any("tool" in argument for argument in cell.arguments())


def test_a_run_is_done_when_its_result_and_its_predictions_are_there(tmp_path):
    run = Cell("row", "x", {"model": "MMFS"}, "u1", 3, tmp_path / "cell.json")
    missing = Cell("row", "x", {"model": "MMFS", "tool": "missing"}, "u1", 3, tmp_path / "cell.json")
    assert not run.done and not missing.done
    run.file.write_text("{}")
    assert not run.done and missing.done
    run.predictions.write_text("")
    assert run.done
