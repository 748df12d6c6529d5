"""One run of a table: what it is, what its numbers depend on, and running it in a process of its own."""

from __future__ import annotations

import ast
import functools
import hashlib
import json
import os
import platform
import traceback
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from recbole_mm.config.sources import find_file, read_mapping, read_packaged, write_arguments
from recbole_mm.errors import InputError
from recbole_mm.model.registry import BASELINES, MODELS
from recbole_mm.resources import resource_dir

# What a run's numbers depend on; the command line, reports and the suites themselves are not among it.
SHARED = (
    *("data/*.py", "training/evaluation.py", "training/session.py", "evaluation/metrics.py", "config/*.py"),
    *("compat.py", "model/users.py"),
)
OURS = ("training/trainer.py", "model/recommender.py", "model/layers.py", "model/losses.py", "model/tasks/*.py")
PARENTS = {"MMASP": ("MMSP",)}
BUILTIN = ("model/baselines/rating_regressors.py", "config/builtin.py")
WITH_VECTORS = ("model/content.py", "model/layers.py", "model/baselines/vector_fields.py")
TOOLS = {
    "run": "",
    "logistic": "benchmark/logistic_genres.py",
    "missing": "benchmark/missing_modalities.py",
}
"""What a row may be made by: a run of a model, or another command of the benchmark with its file."""


@dataclass(frozen=True)
class Cell:
    """One run of a table.

    Attributes:
        row: its name in the table.
        options: of the run, without those below; ``tool`` says what runs (by default a model).
        file: where its result is kept: a JSON object with ``valid`` and ``test``, or ``lines`` of them.
    """

    row: str
    dataset: str
    options: dict
    protocol: str
    seed: int
    file: Path

    @property
    def tool(self) -> str:
        """A key of `TOOLS`."""
        return self.options.get("tool", "run")

    @property
    def predictions(self) -> Path:
        """What each pair and each user of the test part got (runs of a model only)."""
        return self.file.with_suffix(".npz")

    @property
    def done(self) -> bool:
        """Whether its result is there."""
        return self.file.is_file() and (self.predictions.is_file() or self.tool != "run")

    def arguments(self) -> list[str]:
        """Options of `recbole-mm run`."""
        given = {name: value for name, value in self.options.items() if name != "tool"}
        given = {"dataset": self.dataset, **given, "protocol": self.protocol, "seed": self.seed}
        return write_arguments({**given, "show_progress": False, "state": "ERROR"})


def make_cell(row: str, dataset: str, options: dict, protocol: str, seed: int, folder: Path) -> Cell:
    """The cell, with a file name that changes with its options, the code and the shipped vectors.

    By options, not by the row's name: suites share runs. Neither the ratings nor a data set of the user's own are
    looked at.

    Raises:
        InputError: no such tool, or a config file that is not there.
    """
    if options.get("tool", "run") not in TOOLS:
        raise InputError(f"row '{row}': tool '{options['tool']}' is unknown; tools: {', '.join(TOOLS)}")
    files = {name: read_mapping(find_file(name)) for name in str(options.get("config_files", "")).split()}
    code = _code(options["model"], dataset, "vector_input" in options, options.get("tool", "run"))
    key = json.dumps([dataset, options, files, protocol, seed, code], sort_keys=True)
    name = f"{options['model']}-{protocol}-{seed}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.json"
    return Cell(row, dataset, options, protocol, seed, folder / name)


@functools.cache
def _code(model: str, dataset: str, reads_vectors: bool, tool: str) -> str:
    """Hash of what decides the numbers of a model's runs: its sources, properties and the data set's shipped vectors.

    Of a source what Python runs, of a property file its values: comments and docstrings may change.
    """
    package, digest = Path(__file__).parents[1], hashlib.sha256()
    properties, vectors = resource_dir("properties"), resource_dir("dataset")
    places = {**MODELS, **BASELINES}
    own = [places[name].partition(":")[0] for name in (model, *PARENTS.get(model, ())) if name in places]
    patterns = [*SHARED, TOOLS[tool], *(f"{name.removeprefix('recbole_mm.').replace('.', '/')}.py" for name in own)]
    patterns += OURS if model in MODELS else BUILTIN
    patterns += WITH_VECTORS if reads_vectors or model == "VBPR" else ()
    options = [properties / "overall.yaml", properties / "model" / f"{model}.yaml"]
    options += [] if model in MODELS else [properties / "rating.yaml"]
    options += [*properties.glob("dataset/*.yaml"), *properties.glob("protocol/*.yaml")]
    for path in sorted({path for pattern in patterns if pattern for path in package.glob(pattern)}):
        digest.update(path.name.encode() + _run_by_python(path.read_text(encoding="utf-8")).encode())
    for path in sorted(path for path in options if path.is_file()):
        digest.update(path.name.encode() + json.dumps(read_packaged(path), sort_keys=True).encode())
    for path in sorted(
        path for path in vectors.glob(f"{dataset}/*") if path.suffix not in (".inter", ".item", ".user", ".md")
    ):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _run_by_python(source: str) -> str:
    """The syntax tree of a module without its docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            del node.body[0]
    return ast.dump(tree)


def run_cell(cell: Cell) -> str | None:
    """Run a cell that is not done in a process of its own; the reason if that fails.

    The process is forked from one that has imported everything already, which saves each some five seconds, and has one
    thread: two such processes are faster than one with two threads. What it prints is in the cell's ``.log``.
    """
    if cell.done:
        return None
    os.environ["OMP_NUM_THREADS"] = "1"  # read when the process that the others are forked from starts
    context = get_context("forkserver")
    context.set_forkserver_preload(["recbole_mm.benchmark.cell", "recbole_mm.training.session"])
    process = context.Process(target=_work, args=(cell,))
    process.start()
    process.join()
    failure = cell.file.with_suffix(".failure")
    if process.exitcode == 0 and cell.done:
        return None
    if process.exitcode == 1 and failure.is_file():
        return failure.read_text(encoding="utf-8")
    return f"ended with exit status {process.exitcode} (a negative one is a signal, -9 often want of memory)"


def _work(cell: Cell) -> None:
    """In the process of a cell: run it, and leave its result or the reason why there is none."""
    failure, unfinished = cell.file.with_suffix(".failure"), cell.file.with_suffix(".unfinished")
    failure.unlink(missing_ok=True)
    with open(cell.file.with_suffix(".log"), "w", encoding="utf-8") as log, redirect_stdout(log), redirect_stderr(log):
        try:
            result = _tool(cell.tool)(cell)
        except BaseException as error:
            traceback.print_exc()
            reason = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
            failure.write_text(" ".join(reason.split()), encoding="utf-8")
            raise SystemExit(1) from error
    result["machine"] = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    unfinished.write_text(json.dumps(result), encoding="utf-8")
    unfinished.replace(cell.file)


def _tool(name: str) -> Callable[[Cell], dict[str, Any]]:
    if name == "logistic":
        from recbole_mm.benchmark.logistic_genres import logistic_cell

        return logistic_cell
    if name == "missing":
        from recbole_mm.benchmark.missing_modalities import missing_cell

        return missing_cell
    return _run_model


def _run_model(cell: Cell) -> dict[str, Any]:
    from recbole_mm.training.session import run

    result = run(arguments=[*cell.arguments(), f"--predictions_file={cell.predictions}"])
    Path(result.checkpoint).unlink(missing_ok=True)
    return json.loads(result.to_json())


def lines_of(cell: Cell, part: str) -> Iterable[dict[str, Any]]:
    """Lines of the table that a done cell has: one, or one for each thing that its tool tried.

    Args:
        part: ``valid`` or ``test``.
    """
    result = json.loads(cell.file.read_text(encoding="utf-8"))
    for line in result.get("lines", [result]):
        row = f"{cell.row}: {line['row']}" if "row" in line else cell.row
        yield {"row": row, **line[part], **_cost({**result, **line}), "machine": result.get("machine")}


def _cost(result: dict[str, Any]) -> dict[str, Any]:
    if "seconds" not in result:
        return {}
    history, best = result["history"], result["best_epoch"]
    statistics = next((epoch.get("statistics", {}) for epoch in history if epoch["epoch"] == best), {})
    seconds = result["seconds"]
    return {
        **statistics,
        "parameters": result["parameters"],
        "epochs": result["epochs"],
        "epoch_seconds": seconds["epoch"],
        "fit_seconds": round(seconds["build"] + seconds["fit"], 3),
        "peak_mb": result["peak_rss_mb"],
        "pairs_per_second": result["throughput"].get("pairs"),
        "users_per_second": result["throughput"].get("users"),
        "versions": json.dumps(result["versions"]),
    }
