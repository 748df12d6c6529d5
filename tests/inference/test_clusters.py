"""The recipes of docs/serving.md for Ray Data and Spark: their code is taken from the page and run in local mode."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from doc_pages import ROOT, blocks_of

import recbole_mm

pyarrow = pytest.importorskip("pyarrow", reason="pyarrow (extra 'import') is not installed")

TASTES = {
    "anna": {"m0": 5.0, "m3": 4.0, "m7": 1.0},
    "ben": {"m4": 5.0},
    "chris": {"m2": 5.0, "m5": 5.0, "m8": 4.0, "m1": 2.0},
}


@pytest.fixture
def folder(tmp_path, monkeypatch, recommender) -> Path:
    """The page's files, a model and three people."""
    from pyarrow import parquet

    monkeypatch.chdir(tmp_path)
    for block in blocks_of(ROOT / "docs" / "serving.md"):
        if block.file is not None:
            Path(block.file).write_text(block.text, encoding="utf-8")
    recommender.save("model.safetensors")
    rows = [{"user_id": name, "item_ids": [*rated], "ratings": [*rated.values()]} for name, rated in TASTES.items()]
    parquet.write_table(pyarrow.Table.from_pylist(rows), "people.parquet")
    return tmp_path


def expected() -> pd.DataFrame:
    people = {name: {"ratings": rated} for name, rated in TASTES.items()}
    found = recbole_mm.load("model.safetensors").recommend_for_each(people)
    return found[["person", "rank", "item_id", "score", "rating"]]


def check(found: pd.DataFrame) -> None:
    found = found.sort_values(["person", "rank"], ignore_index=True)
    wanted = expected().sort_values(["person", "rank"], ignore_index=True)
    assert len(found) == 30 and list(found) == list(wanted)
    for name in ("person", "rank", "item_id"):
        assert found[name].tolist() == wanted[name].tolist()
    for name in ("score", "rating"):
        assert found[name].to_numpy() == pytest.approx(wanted[name].to_numpy(), abs=1e-5)


def run_recipe(folder: Path, name: str) -> pd.DataFrame:
    """What a recipe writes, in a process of its own."""
    from pyarrow import parquet

    path = os.pathsep.join([str(folder), str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "PYSPARK_PYTHON": sys.executable, "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run([sys.executable, name], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    (written,) = folder.glob("lists-*")
    return pd.concat([parquet.read_table(part).to_pandas() for part in written.glob("*.parquet")])


def test_the_function_that_they_map(folder, monkeypatch):
    from pyarrow import parquet

    monkeypatch.syspath_prepend(str(folder))
    from scoring import SCHEMA, lists_of

    people, model = parquet.read_table("people.parquet"), recbole_mm.load("model.safetensors")
    table = lists_of(people, model)
    assert table.schema.equals(SCHEMA)
    check(table.to_pandas())
    parts = [lists_of(batch, model) for batch in people.to_batches(max_chunksize=2)]
    check(pyarrow.concat_tables(parts).to_pandas())


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")
def test_ray_data(folder):
    check(run_recipe(folder, "lists_with_ray.py"))


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("pyspark") is None, reason="pyspark is not installed")
@pytest.mark.skipif(shutil.which("java") is None, reason="java is not installed")
def test_spark(folder):
    check(run_recipe(folder, "lists_with_spark.py"))
