"""A benchmark that is stopped, that has failed rows, or whose cached cells are damaged."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import yaml

from recbole_mm.benchmark import suites
from recbole_mm.benchmark.key import make_cell
from recbole_mm.benchmark.rows import check_rows
from recbole_mm.benchmark.runner import run_cell, run_cells
from recbole_mm.cli.main import main
from recbole_mm.errors import InputError

START = """
import sys
from pathlib import Path
from recbole_mm.benchmark import suites
from recbole_mm.cli.main import main
suites.resource_dir = lambda name: Path(name)
sys.exit(main(sys.argv[1:]))
"""


def write_suite(folder: Path, rows: dict, seeds: list[int], **options) -> None:
    (folder / "properties" / "benchmark").mkdir(parents=True, exist_ok=True)
    (folder / "own.yaml").write_text(yaml.safe_dump(options))
    own = {"config_files": str(folder / "own.yaml")}
    plan = {"protocols": ["u1"], "seeds": seeds, "rows": {name: {**row, **own} for name, row in rows.items()}}
    (folder / "properties" / "benchmark" / "small.yaml").write_text(yaml.safe_dump(plan))


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_the_running_runs_and_starts_no_other(planted, tmp_path, number, status):
    endless = planted.options(epochs=100_000, stopping_step=100_000, metrics=["RMSE"])
    write_suite(tmp_path, {"a": {"model": "MMFS"}}, [1, 2, 3, 4, 5, 6], **endless)
    command = [sys.executable, "-c", START, "benchmark", f"--dataset={planted.name}", "--suite=small", "--out=out"]
    # A group of its own, to which Ctrl-C goes; a shell may have left SIGINT ignored.
    restored = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, preexec_fn=restored, start_new_session=True
    ) as running:
        try:
            runs = Path("out/runs")
            wait_until(lambda: runs.is_dir() and len({path.parent for path in runs.glob("*.checkpoints/*.pt")}) == 2)
            start = time.perf_counter()
            if number == signal.SIGINT:
                os.killpg(running.pid, number)
            else:
                running.send_signal(number)
            error = running.communicate(timeout=60)[1]
            assert time.perf_counter() - start < 30
        finally:  # a run that is left behind would take a core from all tests after it
            with suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
    assert running.returncode == status
    (said,) = [line for line in error.splitlines() if "recbole-mm: " in line]
    assert said.endswith("0 of 6 runs are kept; the same command goes on with the others") and "Traceback" not in error
    assert {path.suffix for path in runs.iterdir()} == {".log"} and len(list(runs.iterdir())) == 2
    time.sleep(1)
    assert len(list(runs.iterdir())) == 2, "a run was started after the signal"


def wait_until(condition, seconds: float = 90) -> None:
    end = time.perf_counter() + seconds
    while not condition():
        assert time.perf_counter() < end, "it did not begin"
        time.sleep(0.1)


def test_failed_rows_are_a_status_of_their_own_and_the_table_is_written(planted, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(suites, "resource_dir", lambda name: tmp_path / name)
    rows = {"good": {"model": "MMFS"}, "bad": {"model": "MMFS", "embedding_size": 0}}
    write_suite(tmp_path, rows, [1], **planted.options(epochs=1))
    assert main(["benchmark", f"--dataset={planted.name}", "--suite=small", "--out=out"]) == 1
    out, err = capsys.readouterr()
    assert "recbole-mm: 1 run failed, of row bad; the tables are written" in err
    assert "warning: row 'bad' cannot run under u1: " in err
    assert "| good " in out and Path("out/small.md").is_file()
    assert len(list(Path("out/runs").glob("*.log"))) == 1, "the row that cannot run was started"


def test_options_and_data_are_checked_before_any_run(planted, tmp_path, monkeypatch):
    monkeypatch.setattr(suites, "resource_dir", lambda name: tmp_path / name)
    rows = {name: {"model": "MMFS", "embedding_size": 0} for name in ("a", "b")}
    write_suite(tmp_path, rows, [1, 2], **planted.options(epochs=1))
    with pytest.raises(InputError, match="embedding_size"):
        suites.run_suite("small", planted.name, tmp_path / "out")
    good = make_cell("good", planted.name, {"model": "MMFS", **planted.options(epochs=1)}, "u1", 1, tmp_path)
    (planted.folder / "planted.inter").write_text(
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\nu1\tm1\tmany\t1\n"
    )
    with pytest.raises(InputError, match="planted"):
        check_rows([good])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("suffix", [".json", ".npz"])
def test_a_damaged_cell_is_told_and_runs_again(planted, tmp_path, suffix, capsys):
    cell = make_cell("row", planted.name, {"model": "MMFS", **planted.options(epochs=1)}, "u1", 1, tmp_path)
    assert run_cell(cell) is None
    whole = json.loads(cell.file.read_text())["test"]
    assert not list(tmp_path.glob("*.checkpoints")) and cell.damage() is None
    file = cell.file.with_suffix(suffix)
    file.write_bytes(file.read_bytes()[:-100])
    assert run_cell(cell) is None
    assert f"recbole-mm: warning: {file}: " in (error := capsys.readouterr().err) and "run again" in error
    assert json.loads(cell.file.read_text())["test"] == whole and cell.damage() is None


@pytest.mark.parametrize("content", ["", "{}", "[]", "3", '{"valid": {}}', '{"lines": 3}', "\0\0"])
def test_what_is_no_result_is_damage(planted, tmp_path, content):
    cell = make_cell("row", planted.name, {"model": "MMFS", "tool": "missing"}, "u1", 1, tmp_path)
    cell.file.write_text(content)
    assert "is not the result of a run" in (cell.damage() or "")


def test_a_folder_that_cannot_be_written_to_is_a_reason(planted, tmp_path):
    cell = make_cell("row", planted.name, {"model": "MMFS", **planted.options()}, "u1", 1, tmp_path / "none")
    ((_, reason),) = run_cells([cell], 1)
    assert reason == "ended with exit status 1: its files cannot be written"


def test_a_table_that_cannot_be_written_is_printed(planted, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(suites, "resource_dir", lambda name: tmp_path / name)
    write_suite(tmp_path, {"good": {"model": "MMFS"}}, [1], **planted.options(epochs=1))
    (tmp_path / "out" / "small.tex").mkdir(parents=True)
    assert main(["benchmark", f"--dataset={planted.name}", "--suite=small", "--out=out"]) == 2
    out, err = capsys.readouterr()
    assert "| good " in out
    assert err.splitlines()[-1].startswith(f"recbole-mm: error: {Path('out/small.tex')}: cannot be written")
    assert not list(Path("out").glob(".*"))
