"""What the numbers of a cell depend on, in one key: if anything of it changes, the cell is run again.

    options     of the row, protocol, seed, and the content of the files in ``config_files``
    code        every module of this package that the run imports, found by following imports from the cell's tool and
                its model. Comments and docstrings do not count
    properties  the property files of this package that the run reads, by value
    data        the content of all files of the data set: ratings, movies, users, vectors; yaml files by value
    versions    of Python, RecBole, torch and the other packages that compute the numbers

Two imports are not followed. The data sets' builders: their result, the data files, is in the key. And what the table
of models looks up: the model of the run is, the others are not. The tables of options do not count either: the
property files are written from them, and those that the run reads are in the key.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
from collections.abc import Collection, Iterable
from glob import escape
from importlib import metadata
from pathlib import Path
from typing import Any

from recbole_mm.benchmark.cell import TOOLS, Cell
from recbole_mm.benchmark.imports import PACKAGE, Imports, import_closure, modules_of, read_imports
from recbole_mm.config.sources import find_file, given_options, read_mapping, read_packaged
from recbole_mm.environment import versions
from recbole_mm.errors import InputError
from recbole_mm.model.outside import outside_models, package_of, source_files
from recbole_mm.model.registry import BASELINES, MODELS, recbole_model_names
from recbole_mm.resources import resource_dir

TABLE_OF_MODELS = "recbole_mm.model.registry"
RATING_FORMS = "recbole_mm.model.baselines.rating_regressors"
BUILDERS = "recbole_mm.datasets"
OPTIONAL_PACKAGES = {"BayesianFM": "myfm", "SVDpp": "scikit-surprise"}
_OURS = {**MODELS, **BASELINES}
# Assignments that are no part of a module's code here: a new version, or a new model, changes no other model's numbers.
# And a new tool changes no numbers of the others: the code of the run's own tool counts.
LEFT_OUT = {
    "recbole_mm": ("__version__",),
    TABLE_OF_MODELS: ("MODELS", "BASELINES"),
    "recbole_mm.benchmark.cell": ("TOOLS", "KEEP_PREDICTIONS", "_OF_TOOLS"),
}
# Modules that are no part of a run's code here: an option of one model changes no other model's numbers.
TABLES_OF_OPTIONS = {f"recbole_mm.config.options.{name}" for name in ("models", "baselines", "multimodal", "overall")}


def make_cell(row: str, dataset: str, options: dict, protocol: str, seed: int, folder: Path) -> Cell:
    """The cell, with a file name that holds its key; the row's name is no part of it: suites share runs.

    Args:
        folder: where results of runs are kept.

    Raises:
        InputError: no such tool, or a config file that is not there.
    """
    if options.get("tool", "run") not in TOOLS:
        raise InputError(f"row '{row}': tool '{options['tool']}' is unknown; tools: {', '.join(TOOLS)}")
    cell = Cell(row, dataset, options, protocol, seed, folder)  # its file follows
    name = f"{options['model']}-{protocol}-{seed}-{key_of(cell)[:12]}.json"
    return Cell(row, dataset, options, protocol, seed, folder / name)


def key_of(cell: Cell) -> str:
    """SHA-256, in hexadecimal, of what the numbers of the cell depend on."""
    model = cell.options["model"]
    files = [read_mapping(find_file(name)) for name in str(cell.options.get("config_files", "")).split()]
    properties = read_properties(model, cell.dataset, cell.protocol)
    settings = _settings(properties, cell.options)
    parts = {
        "dataset": cell.dataset,
        "protocol": cell.protocol,
        "seed": cell.seed,
        "class": _OURS.get(model),
        "outside": _outside(model),
        "options": {name: value for name, value in cell.options.items() if name != "config_files"},
        "config_files": files,
        "code": code_of(entry_modules(cell.tool, model, settings.get("builtin_task"))),
        "properties": properties,
        "data": _data_of(_folder(settings, cell.dataset), cell.dataset),
        "versions": {name: version for name, version in versions().items() if name != "recbole-mm"},
        "package": _package_of(model),
    }
    if cell.parts:
        parts["parts"] = [key_of(part) for part in cell.parts]
    if other := cell.options.get("to"):
        parts["to"] = {
            "properties": read_properties(model, other, cell.protocol),
            "data": _data_of(data_folder(other, cell.options, cell.protocol), other),
        }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _outside(model: str) -> dict[str, Any] | None:
    """Version and code of the package that a model of another package is in."""
    if model in _OURS or model in recbole_model_names() or model not in outside_models():
        return None
    code = {path.name: _hash_of_code(path, ()) for path in source_files(model)}
    return {"package": package_of(outside_models()[model]), "code": code}


def _package_of(model: str) -> str | None:
    """Version of the optional package that computes the model; None if there is none, or it is not installed."""
    try:
        return metadata.version(OPTIONAL_PACKAGES[model]) if model in OPTIONAL_PACKAGES else None
    except metadata.PackageNotFoundError:
        return None


# ---------------------------------------------------------------------- code


def entry_modules(tool: str, model: str, builtin_task: str | None = None) -> list[str]:
    """Modules from which everything that a run executes is imported: those of its tool and of its model."""
    modules = [TOOLS[tool].partition(":")[0]]
    if model in _OURS:
        modules.append(_OURS[model].partition(":")[0])
    elif model not in recbole_model_names():
        known = modules_of()  # of what another package's model imports, the modules of this one
        for path in source_files(model):
            imports = read_imports(path, path.stem)
            modules += sorted((imports.on_import | imports.in_functions) & known.keys())
    elif builtin_task == "rating":
        modules.append(RATING_FORMS)
    return modules


def code_of(entries: Iterable[str], package: Path = PACKAGE) -> dict[str, str]:
    """Module -> hash of its code, for the entries and everything that they import."""
    modules = import_closure(entries, package, _followed)
    counted = {name: path for name, path in modules.items() if name not in TABLES_OF_OPTIONS}
    return {name: _hash_of_code(path, LEFT_OUT.get(name, ())) for name, path in counted.items()}


def _followed(module: str, imports: Imports) -> set[str]:
    names = imports.on_import if module == TABLE_OF_MODELS else imports.on_import | imports.in_functions
    return {name for name in names if not f"{name}.".startswith(f"{BUILDERS}.")}


def _hash_of_code(path: Path, left_out: tuple[str, ...]) -> str:
    status = path.stat()
    return _hash_code_once(path, left_out, status.st_size, status.st_mtime_ns)


@functools.cache
def _hash_code_once(path: Path, left_out: tuple[str, ...], size: int, modified: int) -> str:
    return hashlib.sha256(run_by_python(path.read_text(encoding="utf-8"), left_out).encode()).hexdigest()


def run_by_python(source: str, left_out: Collection[str] = ()) -> str:
    """The syntax tree of a module as text, without docstrings, also those of assignments.

    Args:
        left_out: names whose assignments in the module are left out, too.
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            node.body = [one for one in node.body if not _is_text(one)]
    tree.body = [
        node for node in tree.body if not (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in left_out)
    ]
    return ast.dump(tree)


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


# ---------------------------------------------------------------------- properties and data


def read_properties(model: str, dataset: str, protocol: str) -> dict[str, dict[str, Any]]:
    """The property files of this package that a run reads, weakest first: name -> options."""
    names = ["overall.yaml", f"model/{model}.yaml", f"model/{model.lower()}.yaml", f"dataset/{dataset}.yaml"]
    names += [] if model in MODELS else ["rating.yaml"]
    names += [f"protocol/{protocol}.yaml"]
    folder = resource_dir("properties")
    return {name: read_packaged(folder / name) for name in names if (folder / name).is_file()}


def data_folder(dataset: str, options: dict, protocol: str) -> Path:
    """The folder of the data set that a run of these options reads."""
    return _folder(_settings(read_properties(options["model"], dataset, protocol), options), dataset)


def _settings(properties: dict[str, dict[str, Any]], options: dict) -> dict[str, Any]:
    """The options that a run starts from, those given by the row among them."""
    settings = {name: value for read in properties.values() for name, value in read.items()}
    return {**settings, **{name: one.value for name, one in given_options(config_dict=options).items()}}


def _folder(settings: dict[str, Any], dataset: str) -> Path:
    return Path(settings.get("data_path") or "dataset") / dataset


def data_files(folder: Path, dataset: str) -> list[Path]:
    """Files of the data set, by name: those of the folder, else those that travel with the package.

    A builder copies the latter into the folder where they are not yet there.
    """
    places = (resource_dir("dataset") / dataset, folder)
    found = {path.name: path for place in places for path in place.glob(f"{escape(dataset)}.*") if path.is_file()}
    return [found[name] for name in sorted(found)]


def _data_of(folder: Path, dataset: str) -> dict[str, Any]:
    """Name -> content of the files of a data set: yaml files by value, others as a hash."""
    files = data_files(folder, dataset)
    return {path.name: read_mapping(path) if path.suffix == ".yaml" else hash_of(path) for path in files}


def hash_of(path: Path) -> str:
    """SHA-256 of the file's content; a file that has not changed since is not read again."""
    status = path.stat()
    return _hash_content_once(path.resolve(), status.st_size, status.st_mtime_ns)


@functools.cache
def _hash_content_once(path: Path, size: int, modified: int) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
