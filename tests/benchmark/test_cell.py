from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from recbole_mm.benchmark import cell as cells
from recbole_mm.errors import InputError


def name_of(options: dict, folder: Path, protocol: str = "u1", seed: int = 1) -> str:
    return cells.make_cell("row", "x", options, protocol, seed, folder).file.name


def test_changed_code_and_options_are_other_cells(tmp_path, monkeypatch):
    names = {name_of(options, tmp_path) for options in ({"model": "MMFS"}, {"model": "MMFS", "id_size": 0})}
    assert len(names) == 2
    monkeypatch.setattr(cells, "_code", lambda *what: "other")
    assert name_of({"model": "MMFS"}, tmp_path) not in names


def test_the_content_of_a_config_file_counts_not_its_name(tmp_path):
    file = tmp_path / "own.yaml"
    options = {"model": "FM", "config_files": str(file)}
    names = []
    for text in ("embedding_size: 8", "embedding_size: 16", "embedding_size: 8  # as before"):
        file.write_text(text)
        names.append(name_of(options, tmp_path))
    assert names[0] == names[2] != names[1]


def test_options_reach_the_run_as_they_are(tmp_path):
    cell = cells.make_cell("row", "x", {"model": "MMFS", "tasks": ["rating"], "tool": "missing"}, "u1", 3, tmp_path)
    assert {"--model=MMFS", "--tasks=[rating]", "--protocol=u1", "--seed=3", "--dataset=x"} <= set(cell.arguments())
    assert cell.tool == "missing" and not any("tool" in argument for argument in cell.arguments())


def test_an_unknown_tool_is_an_error(tmp_path):
    with pytest.raises(InputError, match="tool 'mising' is unknown"):
        name_of({"model": "MMFS", "tool": "mising"}, tmp_path)


def test_what_a_tool_tried_are_lines_of_the_table(planted, tmp_path):
    own = planted.options(epochs=1, protocol="ranking")
    for tool, options in (("logistic", {}), ("missing", {"metrics": ["RMSE", "genre_map"]})):
        given = {**own, **options, "model": "MMFS", "tool": tool}
        given.pop("protocol")
        cell = cells.make_cell(tool, planted.name, given, "ranking", 1, tmp_path)
        assert cells.run_cell(cell) is None
        lines = {line["row"]: line for line in cells.lines_of(cell, "test")}
        if tool == "logistic":
            assert set(lines) == {"logistic: text", "logistic: audio", "logistic: all"}
            assert lines["logistic: all"]["genre_map"] > 0.9
        else:
            assert len(lines) == 1 + 4 * 3
            assert lines["missing: all 100%"]["genre_map"] < lines["missing: nothing"]["genre_map"]


def test_a_process_that_fails_says_why(planted, tmp_path):
    options = {**planted.options(), "model": "MMFS", "metrics": ["NDCG"], "topk": [5000]}
    cell = cells.make_cell("row", planted.name, options, "ranking", 1, tmp_path)
    assert "option 'topk': 5000, but only 90 items" in cells.run_cell(cell)
    assert not cell.done and "Traceback" in cell.file.with_suffix(".log").read_text()


def test_a_changed_model_is_run_again_alone(tmp_path, monkeypatch):
    package = tmp_path / "recbole_mm"
    shutil.copytree(Path(cells.__file__).parents[1], package)
    monkeypatch.setattr(cells, "__file__", str(package / "benchmark" / "cell.py"))
    models = ("MMFS", "MMSP", "MMASP", "DeepFM", "Bias", "VBPR")

    def changed_by(name: str, line: str) -> set[str]:
        cells._code.cache_clear()
        before = {model: cells._code(model, "ml-100k-mm", False, "run") for model in models}
        path = package / name
        path.write_text(f"{path.read_text()}\n{line}\n")
        cells._code.cache_clear()
        return {model for model in models if cells._code(model, "ml-100k-mm", False, "run") != before[model]}

    assert changed_by("model/mmsp.py", "x = 1") == {"MMSP", "MMASP"}
    assert changed_by("model/recommender.py", "x = 1") == {"MMFS", "MMSP", "MMASP"}
    assert changed_by("model/baselines/rating_regressors.py", "x = 1") == {"DeepFM", "Bias", "VBPR"}
    assert changed_by("model/baselines/bias.py", "x = 1") == {"Bias"}
    assert changed_by("model/multimodal/vbpr.py", "x = 1") == changed_by("model/content.py", "x = 1") == {"VBPR"}
    assert changed_by("data/splits.py", "x = 1") == set(models)
    assert changed_by("data/splits.py", "# a comment") == set()
    assert changed_by("report/run_table.py", "x = 1") == set()
    cells._code.cache_clear()


def test_only_the_vectors_of_its_own_data_set_count(tmp_path, monkeypatch):
    real = cells.resource_dir
    monkeypatch.setattr(cells, "resource_dir", lambda name: tmp_path if name == "dataset" else real(name))
    names = []
    for dataset in ("x", "other", "x"):
        (tmp_path / dataset).mkdir(exist_ok=True)
        (tmp_path / dataset / f"{dataset}.text").write_text(f"item_id:token text_vec:float_seq\n1\t{len(names)}\n")
        cells._code.cache_clear()
        names.append(name_of({"model": "MMFS"}, tmp_path))
    cells._code.cache_clear()
    assert names[0] == names[1] != names[2]


def test_docstrings_are_no_part_of_the_code():
    one, other = ('"""A."""\ndef f():\n    """B."""\n    return 1', '"""C."""\ndef f():\n    return 1  # 2')
    assert cells._run_by_python(one) == cells._run_by_python(other)
    assert cells._run_by_python(one) != cells._run_by_python(other.replace("1", "3"))
