from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from recbole_mm.benchmark import suites
from recbole_mm.benchmark.kept import Kept, read_kept, write_kept
from recbole_mm.cli.main import main
from recbole_mm.config.config import Config
from recbole_mm.errors import InputError
from recbole_mm.resources import resource_dir


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
    monkeypatch.setattr(suites, "HOME", planted.name)  # the suite is made for these data
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
    assert " cores; python" in text
    assert re.search(r"^bad failed: .*embedding_size", text, re.MULTILINE)
    assert "failed" in (out / "small.tex").read_text()
    assert set(pd.read_csv(out / "results.csv")["suite"]) == {"small"}
    assert (good["fit_seconds"] > 0).all() and (good["parameters"] > 0).all()

    # What is there is not run again; a result that is taken away is, and is the same.
    files = sorted((out / "runs").glob("*.json"))
    assert len(files) == 4 and all(file.with_suffix(".npz").is_file() for file in files)
    times = {file: file.stat().st_mtime_ns for file in files}
    test = json.loads(files[0].read_text())["test"]
    files[0].unlink()
    shutil.rmtree(out / "cells")
    suites.run_suite("small", suite.name, out)
    assert json.loads(files[0].read_text())["test"] == test
    assert all(file.stat().st_mtime_ns == times[file] for file in files[1:])


def test_a_suite_goes_on_from_the_cells_of_another_checkout_and_its_tables_are_those_of_cells_alone(
    own_rows, suite, tmp_path, monkeypatch
):
    first, other = tmp_path / "first", tmp_path / "other"
    path = tmp_path / "properties" / "benchmark" / "small.yaml"
    plan = {**yaml.safe_load(path.read_text()), "protocols": ["u1", "u2"]}
    path.write_text(yaml.safe_dump({**plan, "protocols": ["u1"]}))
    suites.run_suite("small", suite.name, first, config_files=[own_rows])
    shutil.copytree(first / "cells", other / "cells")
    path.write_text(yaml.safe_dump(plan))
    suites.read_packaged.__globals__["_read_once"].cache_clear()
    suites.run_suite("small", suite.name, other, config_files=[own_rows])
    ran = {file.stem for file in (other / "runs").glob("*.json")}
    assert len(ran) == 2 and all("-u2-" in name for name in ran)  # what was in the cells has not run again
    lines = pd.read_csv(other / "small.csv")
    assert len(lines) == 4 and lines["failure"].isna().all() and (lines["fit_seconds"] > 0).all()

    written = {name: (other / name).read_text() for name in ("small.csv", "small.tests.csv", "small.tex", "small.md")}
    bare = tmp_path / "bare"
    shutil.copytree(other / "cells", bare / "cells")
    shutil.rmtree(suite.folder)  # no data, no runs
    assert main(["benchmark", "--from_cells", f"--dataset={suite.name}", "--suite=all", f"--out={bare}"]) == 0
    again = {name: (bare / name).read_text() for name in written}
    assert again.pop("small.md").split("\n\n", 2)[2] == written.pop("small.md").split("\n\n", 2)[2]  # but the command
    assert again == written
    tests = pd.read_csv(bare / "small.tests.csv")
    assert list(tests["row"]) == ["ours"] and (tests["low"] < tests["high"]).all()
    by_run = {row: runs.groupby("protocol")["rmse"].mean().mean() for row, runs in lines.groupby("row")}
    assert tests["difference"][0] == pytest.approx(by_run["ours"] - by_run["builtin"], abs=1e-4)


def test_some_rows_now_and_the_others_later(own_rows, suite, tmp_path):
    out, given = tmp_path / "results", {"config_files": [own_rows]}
    text = suites.run_suite("small", suite.name, out, only=["our*"], **given).read_text()
    assert "ours" in text and "builtin |" not in text and "Not run: builtin." in text
    assert [cell.row for cell in read_kept(out, "small").values()] == ["ours"]
    assert (
        suites.write_from_cells("small", suite.name, out)
        .read_text()
        .endswith("\nNot run, failed, or not possible on these data: builtin.\n")
    )
    shutil.rmtree(out / "runs")
    text = suites.run_suite("small", suite.name, out, only=["builtin"], **given).read_text()
    assert "Not run" not in text and len(list((out / "runs").glob("*.json"))) == 1
    assert {cell.row for cell in read_kept(out, "small").values()} == {"ours", "builtin"}
    with pytest.raises(InputError, match="--rows: no row is called 'our'. Did you mean 'ours'"):
        suites.run_suite("small", suite.name, out, only=["our"], **given)


@pytest.mark.slow
def test_costs_are_of_another_suites_rows_and_are_not_tested(suite, tmp_path):
    plan = {"rows_of": {"small": "u1"}, "seeds": [1], "workers": 1, "columns": ["parameters", "epoch_seconds"]}
    (tmp_path / "properties" / "benchmark" / "cost.yaml").write_text(yaml.safe_dump(plan))
    text = suites.run_suite("cost", suite.name, tmp_path / "results").read_text()
    assert "epoch_seconds" in text and "bad failed" in text and "rmse" not in text
    assert not (tmp_path / "results" / "cost.tests.csv").exists()


def test_tables_from_cells_have_no_row_of_fewer_seeds_than_the_others(tmp_path, monkeypatch):
    folder = tmp_path / "properties" / "benchmark"
    folder.mkdir(parents=True)
    plan = {"protocols": ["u1"], "seeds": [1, 2], "rows": {row: {"model": "Pop"} for row in ("whole", "half")}}
    (folder / "seeds.yaml").write_text(yaml.safe_dump(plan))
    monkeypatch.setattr(suites, "resource_dir", lambda name: tmp_path / name)
    lines = [{"valid": {"rmse": 1.0}, "test": {"rmse": 1.0}, "machine": "m", "versions": "{}"}]
    whole, half = (
        [Kept(f"{row}-u1-{seed}-0", row, "u1", seed, "Pop", "2026-11-28", lines) for seed in (1, 2)]
        for row in ("whole", "half")
    )
    write_kept(tmp_path, "seeds", [*whole, half[0]])
    text = suites.write_from_cells("seeds", "mine", tmp_path).read_text()
    assert set(pd.read_csv(tmp_path / "seeds.csv")["row"]) == {"whole"} and "Not complete: half." in text
    write_kept(tmp_path, "seeds", half[:1])
    with pytest.raises(InputError, match="no row of suite 'seeds' has all its seeds"):
        suites.write_from_cells("seeds", "mine", tmp_path)


def test_a_suite_that_is_stopped_keeps_the_numbers_of_what_has_finished(own_rows, suite, tmp_path, monkeypatch):
    run_cells = suites.run_cells

    def stopped(cells, workers):
        yield next(run_cells(cells, 1))
        raise KeyboardInterrupt

    monkeypatch.setattr(suites, "run_cells", stopped)
    with pytest.raises(KeyboardInterrupt, match="1 of 2 runs are kept"):
        suites.run_suite("small", suite.name, tmp_path / "results", config_files=[own_rows])
    assert len(read_kept(tmp_path / "results", "small")) == 1


def test_unknown_suite_is_an_error_with_the_nearest_name(tmp_path):
    with pytest.raises(InputError, match="suite 'ratin' is unknown. Did you mean 'rating'?"):
        suites.run_suite("ratin", "ml-100k-mm", tmp_path)


def test_the_short_form_has_fewer_runs_and_fails_outside_its_bands(suite, tmp_path):
    path = tmp_path / "properties" / "benchmark" / "small.yaml"
    plan = yaml.safe_load(path.read_text())
    plan["quick"] = {"protocols": ["u1"], "seeds": [1], "rows": ["good"], "bands": {"good": {"rmse": [0.1, 5.0]}}}
    path.write_text(yaml.safe_dump(plan))
    table = suites.run_suite("small", suite.name, tmp_path / "results", quick=True)
    assert "--suite=small --quick`" in table.read_text()
    assert table.name == "small-quick.md" and len(pd.read_csv(tmp_path / "results" / "small-quick.csv")) == 1
    plan["quick"]["bands"]["good"]["rmse"] = [0.0, 0.01]
    path.write_text(yaml.safe_dump(plan))
    suites.read_packaged.__globals__["_read_once"].cache_clear()
    with pytest.raises(InputError, match=r"good: rmse [\d.]+ is not in \[0.0, 0.01\]"):
        suites.run_suite("small", suite.name, tmp_path / "results", quick=True)


def test_a_suite_without_a_short_form_says_so(suite, tmp_path):
    with pytest.raises(InputError, match="'small' has no short form"):
        suites.run_suite("small", suite.name, tmp_path, quick=True)


def test_without_cells_there_is_nothing_to_write(suite, tmp_path):
    with pytest.raises(InputError, match="cells: has no cells of suite 'small'"):
        suites.write_from_cells("small", suite.name, tmp_path)


PLANS = [("ml-100k-mm", name) for name in suites.suite_names()]
PLANS += [(path.parent.name, path.stem) for path in sorted((resource_dir("properties") / "benchmark").glob("*/*.yaml"))]


@pytest.mark.parametrize(("dataset", "name"), PLANS)
def test_every_suite_of_the_package_can_be_planned(dataset, name, tmp_path):
    assert name in suites.suite_names()
    plan = suites._read_plan(name, dataset)
    cells = suites._cells(plan, dataset, tmp_path)
    assert len({cell.file for cell in cells}) == len(cells), "two rows are the same run"
    assert "against" not in plan or plan["against"] in plan["rows"]
    if "quick" in plan:
        short = suites._short_form(plan, name)
        assert set(short.get("bands", {})) <= set(short["rows"]) <= set(plan["rows"])
    for cell in cells:  # options are known and fit
        Config(arguments=cell.arguments())


def test_a_data_set_may_have_rows_of_its_own(suite, tmp_path):
    folder = tmp_path / "properties" / "benchmark"
    (folder / suite.name).mkdir()
    (folder / suite.name / "small.yaml").write_text("{protocols: [u1], seeds: [1], rows: {own: {model: Pop}}}")
    assert list(suites._read_plan("small", suite.name)["rows"]) == ["own"]
    assert set(suites._read_plan("small", "another")["rows"]) == {"good", "bad"}


# ---------------------------------------------------------------------- a data set of the user's own


@pytest.fixture
def own_rows(suite, tmp_path) -> Path:
    """The suite with rows that say nothing of the data; beside it own.yaml, which does."""
    plan = {"protocols": ["u1"], "seeds": [1], "rows": {"ours": {"model": "MMFS"}, "builtin": {"model": "FM"}}}
    (tmp_path / "properties" / "benchmark" / "small.yaml").write_text(yaml.safe_dump(plan))
    suites.read_packaged.__globals__["_read_once"].cache_clear()
    data = suite.data_options(epochs=1, embedding_size=8)
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({**data, "modalities": ["text", "audio"]}))
    return tmp_path / "own.yaml"


def test_a_data_set_of_the_users_own_is_benchmarked_with_a_file_of_options(own_rows, suite, tmp_path, capsys):
    out = tmp_path / "results"
    (tmp_path / "less.yaml").write_text("embedding_size: 4")
    files = f"--config_files={own_rows} {tmp_path / 'less.yaml'}"
    assert main(["benchmark", f"--dataset={suite.name}", "--suite=small", f"--out={out}", files]) == 0
    lines = pd.read_csv(out / "small.csv")
    assert set(lines["row"]) == {"ours", "builtin"} and lines["failure"].isna().all(), lines["failure"].tolist()
    results = [json.loads(path.read_text()) for path in (out / "runs").glob("*.json")]
    assert {result["config"]["embedding_size"] for result in results} == {4}
    assert f"--suite=small --config_files='{own_rows} " in capsys.readouterr().out and (out / "report.html").is_file()


def test_files_for_every_row_are_weaker_than_those_of_a_row(own_rows, suite, tmp_path):
    (tmp_path / "row.yaml").write_text("embedding_size: 4")
    rows = {"own": {"model": "FM", "config_files": str(tmp_path / "row.yaml")}, "other": {"model": "FM"}}
    plan = {"protocols": ["u1"], "seeds": [1], "rows": rows, "config_files": [str(own_rows)]}
    sizes = [Config(arguments=cell.arguments())["embedding_size"] for cell in suites._cells(plan, suite.name, tmp_path)]
    assert sizes == [4, 8]


@pytest.mark.parametrize(
    "text, message",
    [
        ("learning_rte: 0.1", "learning_rte.*Did you mean 'learning_rate'"),
        ("epochs: many", "option 'epochs' is 'many'"),
        ("adversarial_strength: 0.1", "adversarial_strength"),  # one of MMASP, which no row is
        ("seed: 3", "option 'seed' is set for each run of a suite"),
        ("- epochs", "not a mapping"),
    ],
)
def test_an_option_that_a_row_cannot_take_is_refused_before_any_run(own_rows, suite, tmp_path, text, message):
    (tmp_path / "wrong.yaml").write_text(text)
    with pytest.raises(InputError, match=f"wrong.yaml.*{message}"):
        suites.run_suite("small", suite.name, tmp_path / "results", config_files=[own_rows, tmp_path / "wrong.yaml"])
    assert not (tmp_path / "results").exists()
