"""Tables of repeated runs: each row of a suite under each protocol and seed, cached by what decides its numbers.

A suite is a file of properties/benchmark: ``rows`` (name -> options of `recbole-mm run`), ``protocols``, ``seeds``,
``part`` (test by default; an ablation reports valid, so that nothing is chosen by looking at the test part) and
``against`` (a row that the others are subtracted from).
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from recbole_mm.benchmark.tables import differences, latex, markdown, significance
from recbole_mm.errors import InputError, nearest
from recbole_mm.model.registry import MODELS
from recbole_mm.options import read_packaged
from recbole_mm.resources import resource_dir

# What a run's numbers depend on; the command line, reports and this file are not among it.
SHARED = ("data/*.py", "trainer_mixin.py", "evaluator.py", "config.py", "compat.py", "quick_start.py")
OURS = ("trainer.py", "model/base.py", "model/layers.py", "model/losses.py", "model/ranking.py")
PARENTS = {"MMASP": ("MMSP",)}
BUILTIN = ("model/rating.py", "builtin_options.py")


@dataclass(frozen=True)
class Cell:
    """One run of a table."""

    row: str
    options: dict
    protocol: str
    seed: int
    file: Path

    @property
    def outcomes(self) -> Path:
        """What each pair and each user of the test part got."""
        return self.file.with_suffix(".npz")

    def arguments(self, dataset: str) -> list[str]:
        """Options of `recbole-mm run`."""
        given = {"dataset": dataset, **self.options, "protocol": self.protocol, "seed": self.seed}
        return [f"--{name}={value}" for name, value in given.items()]


def run_suite(suite: str, dataset: str, out: Path, workers: int = 2) -> Path:
    """Run the cells of a suite that are not there yet and write its table.

    Results of runs are kept in ``out/runs``, under a name that changes with options, code and shipped vectors (not
    with the ratings, nor with a config file of the user's own): an interrupted suite goes on where it stopped, and
    changed code runs again. A cell that fails is shown as failed, with its reason, and stops no other.

    Args:
        suite: name of a file of properties/benchmark.
        workers: runs at a time, each with one thread.

    Returns:
        The table, ``out/<suite>.md``; beside it ``.tex`` is the same in LaTeX and ``.csv`` has one line for each cell.

    Raises:
        InputError: no such suite.
    """
    if workers < 1:
        raise InputError(f"workers is {workers}, but at least one run must go on at a time")
    folder = resource_dir("properties") / "benchmark"
    names = sorted(path.stem for path in folder.glob("*.yaml"))
    if suite not in names:
        raise InputError(f"suite '{suite}' is unknown.{nearest(suite, names)} Suites: {', '.join(names)}")
    plan = read_packaged(folder / f"{suite}.yaml")
    cells = _cells(plan, dataset, out / "runs")
    (out / "runs").mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(workers) as pool:
        failures = list(tqdm(pool.map(lambda cell: _run(cell, dataset), cells), total=len(cells), desc=suite))
    table = _read(cells, failures, plan.get("part", "test"))
    table.to_csv(out / f"{suite}.csv", index=False)
    (out / f"{suite}.tex").write_text(latex(table), encoding="utf-8")
    text = markdown(suite, dataset, table, plan)
    if plan.get("part", "test") == "test":  # what runs keep of pairs and users is of the test part
        outcomes: dict[str, list[Path]] = {}
        for cell, failure in zip(cells, failures):
            if failure is None:
                outcomes.setdefault(cell.row, []).append(cell.outcomes)
        rows = {cell.row for cell in cells if cell.options["model"] not in MODELS}
        text += significance(outcomes, baselines=sorted(rows & set(outcomes)))
    if "against" in plan:
        text += differences(table, plan["against"])
    path = out / f"{suite}.md"
    path.write_text(text, encoding="utf-8")
    return path


def _cells(plan: dict, dataset: str, folder: Path) -> list[Cell]:
    cells = []
    for row, options in plan["rows"].items():
        for protocol in plan["protocols"]:
            for seed in plan["seeds"]:
                # By options, not by the row's name: suites share runs.
                key = json.dumps([dataset, options, protocol, seed, _code(options["model"])], sort_keys=True)
                name = f"{options['model']}-{protocol}-{seed}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.json"
                cells.append(Cell(row, options, protocol, seed, folder / name))
    return cells


@functools.cache
def _code(model: str) -> str:
    """Hash of what decides the numbers of a model's runs: its sources, properties and the shipped vectors.

    Of a source what Python runs, of a property file its values: comments and docstrings may change.
    """
    package, digest = Path(__file__).parents[1], hashlib.sha256()
    properties, vectors = resource_dir("properties"), resource_dir("dataset")
    own = [f"model/{name.lower()}.py" for name in (model, *PARENTS.get(model, ()))]
    options = [properties / "model" / f"{model}.yaml"]
    if model in MODELS:
        patterns = (*SHARED, *OURS, *own)
        options.append(properties / "paper.yaml")
    else:
        patterns = (*SHARED, *BUILTIN, *own)
        options.append(properties / "rating.yaml")
    options += [properties / "overall.yaml", *properties.glob("dataset/*.yaml"), *properties.glob("protocol/*.yaml")]
    for path in sorted(path for pattern in patterns for path in package.glob(pattern)):
        digest.update(path.name.encode() + _run_by_python(path.read_text(encoding="utf-8")).encode())
    for path in sorted(path for path in options if path.is_file()):
        digest.update(path.name.encode() + json.dumps(read_packaged(path), sort_keys=True).encode())
    for path in sorted(path for path in vectors.glob("*/*") if path.suffix not in (".inter", ".item", ".user", ".md")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _run_by_python(source: str) -> str:
    """The syntax tree of a module without its docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            del node.body[0]
    return ast.dump(tree)


def _run(cell: Cell, dataset: str) -> str | None:
    """Train and evaluate in a process of its own; the reason if that fails."""
    if cell.file.is_file() and cell.outcomes.is_file():
        return None
    unfinished = cell.file.with_suffix(".unfinished")
    command = [sys.executable, "-m", "recbole_mm.cli", "run", *cell.arguments(dataset)]
    command += [
        f"--result_file={unfinished}",
        f"--outcome_file={cell.outcomes}",
        "--show_progress=false",
        "--state=ERROR",
    ]
    done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    if done.returncode:
        return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    result = json.loads(unfinished.read_text(encoding="utf-8"))
    Path(result["checkpoint"]).unlink(missing_ok=True)
    unfinished.replace(cell.file)
    return None


def _read(cells: list[Cell], failures: list[str | None], part: str) -> pd.DataFrame:
    lines = []
    for cell, failure in zip(cells, failures):
        line = {"row": cell.row, "protocol": cell.protocol, "seed": cell.seed, "failure": failure}
        if failure is None:
            result = json.loads(cell.file.read_text(encoding="utf-8"))
            line |= {
                **result[part],
                "fit_seconds": result["seconds"]["fit"],
                "epochs": result["epochs"],
                "date": f"{datetime.fromtimestamp(cell.file.stat().st_mtime):%Y-%m-%d}",  # of the run, not of the table
                "parameters": result["parameters"],
                "versions": json.dumps(result["versions"]),
            }
        lines.append(line)
    return pd.DataFrame(lines)
