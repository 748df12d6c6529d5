from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from recbole_mm.benchmark import suites
from recbole_mm.errors import InputError


@pytest.fixture
def suite(planted, tmp_path, monkeypatch):
    """A suite of its own on the planted data: two rows, of which one cannot run, and two seeds."""
    properties = tmp_path / "properties"
    (properties / "benchmark").mkdir(parents=True)
    own = tmp_path / "own.yaml"
    own.write_text(yaml.safe_dump(planted.options(epochs=1)))
    good = {"model": "MMFS", "config_files": str(own)}
    plan = {
        "protocols": ["u1", "u2"],
        "seeds": [1, 2],
        "rows": {"good": good, "bad": {**good, "model": "MMSP", "embedding_size": 0}},
    }
    (properties / "benchmark" / "small.yaml").write_text(yaml.safe_dump(plan))
    monkeypatch.setattr(suites, "resource_dir", lambda name: tmp_path / name)
    return planted


@pytest.mark.slow
def test_a_suite_is_a_table_of_cached_runs_and_a_failed_cell_stops_no_other(suite, tmp_path):
    out = tmp_path / "results"
    text = suites.run_suite("small", suite.name, out).read_text()
    lines = pd.read_csv(out / "small.csv")
    good = lines[lines["row"] == "good"]
    assert len(good) == 4 and good["failure"].isna().all()
    assert lines.loc[lines["row"] == "bad", "failure"].str.contains("embedding_size").all()
    by_seed = good.groupby("seed")["rmse"].mean()
    assert f"{by_seed.mean():.4f} ± {by_seed.std():.4f}" in text and "mean of 2 folds" in text
    assert "failed: " in text and "failed: " in (out / "small.tex").read_text()

    # What is there is not run again; a result that is taken away is, and is the same.
    files = sorted((out / "runs").glob("*.json"))
    assert len(files) == 4 and all(file.with_suffix(".npz").is_file() for file in files)
    times = {file: file.stat().st_mtime_ns for file in files}
    test = json.loads(files[0].read_text())["test"]
    files[0].unlink()
    suites.run_suite("small", suite.name, out)
    assert json.loads(files[0].read_text())["test"] == test
    assert all(file.stat().st_mtime_ns == times[file] for file in files[1:])


def test_changed_code_and_options_are_other_cells(tmp_path, monkeypatch):
    plan = {"rows": {"a": {"model": "MMFS"}, "b": {"model": "MMFS", "id_size": 0}}, "protocols": ["u1"], "seeds": [1]}
    names = {cell.file.name for cell in suites._cells(plan, "x", tmp_path)}
    assert len(names) == 2
    monkeypatch.setattr(suites, "_code", lambda model: "other")
    assert not names & {cell.file.name for cell in suites._cells(plan, "x", tmp_path)}


def test_unknown_suite_is_an_error_with_the_nearest_name(tmp_path):
    with pytest.raises(InputError, match="suite 'ratin' is unknown. Did you mean 'rating'?"):
        suites.run_suite("ratin", "ml-100k-mm", tmp_path)


def test_a_changed_model_is_run_again_alone(tmp_path, monkeypatch):
    package = tmp_path / "recbole_mm"
    shutil.copytree(Path(suites.__file__).parents[1], package)
    monkeypatch.setattr(suites, "__file__", str(package / "benchmark" / "suites.py"))
    models = ("MMFS", "MMSP", "MMASP", "DeepFM", "Bias")

    def changed_by(name: str, line: str) -> set[str]:
        suites._code.cache_clear()
        before = {model: suites._code(model) for model in models}
        path = package / name
        path.write_text(f"{path.read_text()}\n{line}\n")
        suites._code.cache_clear()
        return {model for model in models if suites._code(model) != before[model]}

    assert changed_by("model/mmsp.py", "x = 1") == {"MMSP", "MMASP"}
    assert changed_by("model/base.py", "x = 1") == {"MMFS", "MMSP", "MMASP"}
    assert changed_by("model/rating.py", "x = 1") == {"DeepFM", "Bias"}
    assert changed_by("model/bias.py", "x = 1") == {"Bias"}
    assert changed_by("data/splits.py", "x = 1") == set(models)
    assert changed_by("data/splits.py", "# a comment") == set()
    assert changed_by("report.py", "x = 1") == set()
    suites._code.cache_clear()


def test_docstrings_are_no_part_of_the_code():
    one, other = ('"""A."""\ndef f():\n    """B."""\n    return 1', '"""C."""\ndef f():\n    return 1  # 2')
    assert suites._run_by_python(one) == suites._run_by_python(other)
    assert suites._run_by_python(one) != suites._run_by_python(other.replace("1", "3"))
