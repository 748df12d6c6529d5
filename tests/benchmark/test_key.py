"""The key of a cell changes with everything that its numbers depend on, and with nothing else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from recbole_mm.benchmark import key
from recbole_mm.benchmark.cell import TOOLS
from recbole_mm.benchmark.imports import PACKAGE
from recbole_mm.config import sources
from recbole_mm.config.options.files import stale_files
from recbole_mm.config.options.models import MODEL_OPTIONS
from recbole_mm.data.vectors import find_vector_file
from recbole_mm.environment import versions
from recbole_mm.errors import InputError
from recbole_mm.resources import resource_dir

MODELS = ("MMFS", "MMSP", "MMASP", "DeepFM", "Bias", "VBPR", "Pop")
EVERY = set(MODELS)


def name_of(options: dict, folder: Path, dataset: str = "x", protocol: str = "u1", seed: int = 1) -> str:
    return key.make_cell("row", dataset, options, protocol, seed, folder).file.name


# ---------------------------------------------------------------------- options


def test_other_options_protocols_and_seeds_are_other_cells(tmp_path):
    mmfs = {"model": "MMFS"}
    names = {name_of(options, tmp_path) for options in (mmfs, {**mmfs, "id_size": 0}, {"model": "MMSP"})}
    names |= {name_of(mmfs, tmp_path, seed=2), name_of(mmfs, tmp_path, protocol="u2")}
    names |= {name_of(mmfs, tmp_path, dataset="y"), name_of({**mmfs, "tool": "missing"}, tmp_path)}
    assert len(names) == 7


def test_the_content_of_a_config_file_counts_not_its_name(tmp_path):
    names = []
    for file, text in (
        ("own.yaml", "embedding_size: 8"),
        ("own.yaml", "embedding_size: 16"),
        ("own.yaml", "embedding_size: 8  # as before"),
        ("renamed.yaml", "embedding_size: 8"),
    ):
        (tmp_path / file).write_text(text)
        names.append(name_of({"model": "FM", "config_files": str(tmp_path / file)}, tmp_path))
    assert names[0] == names[2] == names[3] != names[1]


def test_an_unknown_tool_is_an_error(tmp_path):
    with pytest.raises(InputError, match="tool 'mising' is unknown"):
        name_of({"model": "MMFS", "tool": "mising"}, tmp_path)


# ---------------------------------------------------------------------- code


@pytest.fixture
def changed_by(tmp_path) -> Callable[..., set[str]]:
    """``changed_by(file, edit)``: models whose code changes when ``edit`` changes the text of a file of the package."""
    package = tmp_path / "recbole_mm"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__", "properties", "dataset"))

    def codes(tool: str) -> dict[str, dict[str, str]]:
        tasks = {"DeepFM": "rating"}  # under u1; Pop has no rating form
        return {model: key.code_of(key.entry_modules(tool, model, tasks.get(model)), package) for model in MODELS}

    def call(file: str, edit: str | Callable[[str], str] = "\nx = 1\n", tool: str = "run") -> set[str]:
        before, path = codes(tool), package / file
        text = path.read_text()
        path.write_text(text + edit if isinstance(edit, str) else edit(text))
        assert path.read_text() != text
        after = codes(tool)
        return {model for model in MODELS if before[model] != after[model]}

    return call


@pytest.mark.parametrize(
    "file",
    [
        *("evaluation/metrics.py", "evaluation/requested.py", "config/schema.py", "config/processes.py"),
        *("features/components.py", "features/decimals.py", "data/splits.py", "data/vectors.py", "data/corruption.py"),
        *("training/session.py", "training/trainer.py", "training/distributed.py", "training/checkpoint.py"),
        *("compat.py", "errors.py", "model/registry.py", "model/content.py"),
    ],
)
def test_what_every_run_imports(changed_by, file):
    assert changed_by(file) == EVERY


@pytest.mark.parametrize(
    "file",
    [
        *("report/tables.py", "report/run_table.py", "cli/main.py", "cli/run.py", "inference/recommender.py"),
        *("benchmark/suites.py", "benchmark/runner.py", "benchmark/table.py", "tuning/search.py", "demo/app.py"),
        *("measure/epochs.py", "extract/text.py", "datasets/registry.py", "datasets/ml_100k/build.py"),
        "benchmark/missing_modalities.py",
    ],
)
def test_what_no_run_imports(changed_by, file):
    assert changed_by(file) == set()


def test_a_model_has_the_code_of_its_own_module_and_of_what_that_imports(changed_by):
    assert changed_by("model/mmsp.py") == {"MMSP", "MMASP"}
    assert changed_by("model/mmasp.py") == {"MMASP"}
    assert changed_by("model/mmfs.py") == {"MMFS"}
    assert changed_by("model/recommender.py") == changed_by("model/losses.py") == {"MMFS", "MMSP", "MMASP"}
    assert changed_by("model/baselines/rating_regressors.py") == {"DeepFM", "Bias"}
    assert changed_by("model/baselines/bias.py") == {"Bias"}
    assert changed_by("model/multimodal/vbpr.py") == {"VBPR"}


def test_another_tool_has_the_code_of_its_own_module(changed_by):
    assert changed_by("benchmark/missing_modalities.py", tool="missing") == EVERY
    assert changed_by("benchmark/logistic_genres.py", tool="missing") == set()
    assert changed_by("evaluation/metrics.py", tool="logistic") == EVERY


def test_comments_docstrings_and_the_version_are_no_code(changed_by):
    assert changed_by("data/splits.py", "# a comment\n") == set()
    assert changed_by("data/splits.py", lambda text: f'"""Other words."""\n{text.split(chr(34) * 3, 2)[2]}') == set()
    assert changed_by("__init__.py", lambda text: text.replace('__version__ = "', '__version__ = "9')) == set()
    assert changed_by("__init__.py", lambda text: text.replace("compat.apply()", "")) == EVERY


def test_a_new_model_in_the_table_runs_no_other_again(changed_by):
    new = 'MODELS = {\n    "New": "recbole_mm.model.new:New",'
    assert changed_by("model/registry.py", lambda text: text.replace("MODELS = {", new, 1)) == set()


def test_a_new_tool_runs_no_cell_of_another_again(changed_by):
    def with_tool(text: str) -> str:
        text = text.replace("TOOLS = {", 'TOOLS = {\n    "new": "recbole_mm.benchmark.new:new_cell",', 1)
        text = text.replace('KEEP_PREDICTIONS = ("run",', 'KEEP_PREDICTIONS = ("new", "run",')
        return text.replace('_OF_TOOLS = ("tool",', '_OF_TOOLS = ("tool", "new",').replace(
            "What a row may", "All that a row may"
        )

    assert (
        changed_by("benchmark/cell.py", lambda text: text if with_tool(text).count("new") < 3 else with_tool(text))
        == set()
    )
    assert (
        changed_by("benchmark/cell.py", lambda text: text.replace('"show_progress": False', '"show_progress": True'))
        == EVERY
    )


@pytest.mark.parametrize("file", ["models.py", "baselines.py", "multimodal.py", "overall.py"])
def test_a_table_of_options_is_no_part_of_the_code(changed_by, file):
    assert changed_by(f"config/options/{file}") == set()


def test_the_property_files_say_what_the_tables_of_options_say():
    """So a default of a table is in the key of the models that have the option, and of no other."""
    assert not stale_files(resource_dir("properties"))
    for model, options in MODEL_OPTIONS.items():
        read = key.read_properties(model, "ml-100k-mm", "u1")[f"model/{model}.yaml"]
        assert {option.name for section in options.sections for option in section.options} <= read.keys()


def test_how_options_are_read_counts(changed_by):
    assert changed_by("config/options/option.py") == changed_by("config/options/table.py") == EVERY


def test_a_new_import_brings_its_module_in(changed_by):
    assert changed_by("report/significance.py") == set()
    imports = "\n\ndef late():\n    from recbole_mm.report import significance\n"
    assert changed_by("model/mmfs.py", imports) == {"MMFS"}
    assert changed_by("report/significance.py") == {"MMFS"}


def test_docstrings_are_no_part_of_the_code():
    one, other = ('"""A."""\ndef f():\n    """B."""\n    return 1', '"""C."""\ndef f():\n    return 1  # 2')
    assert key.run_by_python(one) == key.run_by_python(other)
    assert key.run_by_python(one) != key.run_by_python(other.replace("1", "3"))


def test_every_tool_is_a_module_of_the_package():
    assert all(key.code_of(key.entry_modules(tool, "MMFS")) for tool in TOOLS)


# ---------------------------------------------------------------------- data


def data_name(planted, tmp_path, **options) -> str:
    return name_of({"model": "MMFS", **planted.options(**options)}, tmp_path, dataset=planted.name)


def test_other_ratings_are_another_cell(planted, tmp_path):
    before, ratings = data_name(planted, tmp_path), planted.ratings.copy()
    planted.ratings["rating:float"] = 6 - planted.ratings["rating:float"]
    planted.write()
    assert data_name(planted, tmp_path) != before
    planted.ratings = ratings
    planted.write()
    assert data_name(planted, tmp_path) == before


@pytest.mark.parametrize("suffix", ["item", "user", "text", "avf.npz"])
def test_each_file_of_the_data_set_counts(planted, tmp_path, suffix):
    before, file = data_name(planted, tmp_path), planted.folder / f"{planted.name}.{suffix}"
    file.write_bytes(file.read_bytes() + b"\n" if file.is_file() else b"new")
    assert data_name(planted, tmp_path) != before


@pytest.mark.parametrize("dataset", ["mine[1]", "mine*", "mine?", "mine[ab]"])
def test_a_name_with_the_signs_of_a_pattern_is_a_name(tmp_path, dataset):
    """Else the data would be no part of the key, and other data would get old numbers."""
    folder = tmp_path / dataset
    folder.mkdir()
    options, names = {"model": "MMFS", "data_path": str(tmp_path)}, []
    for text in ("a", "other"):
        (folder / f"{dataset}.inter").write_text(text)
        names.append(name_of(options, tmp_path, dataset))
    assert names[0] != names[1]
    assert [path.name for path in key.data_files(folder, dataset)] == [f"{dataset}.inter"]
    (folder / f"{dataset}.text.npz").write_bytes(b"")
    (folder / "mineb.audio.npz").write_bytes(b"")
    with pytest.raises(InputError, match="text") as told:
        find_vector_file(tmp_path / dataset, dataset, "txt")
    assert "b.audio" not in str(told.value)


def test_options_beside_the_data_count_by_value(planted, tmp_path):
    names = [data_name(planted, tmp_path)]
    for text in ("epochs: 3", "epochs: 3  # a comment", "epochs: 4"):
        (planted.folder / f"{planted.name}.yaml").write_text(text)
        names.append(data_name(planted, tmp_path))
    assert names[1] == names[2] and len(set(names)) == 3


def test_other_files_and_other_dates_do_not_count(planted, tmp_path):
    before = data_name(planted, tmp_path)
    (planted.folder / "PROVENANCE.md").write_text("new")
    (planted.folder / "other.text").write_text("new")
    os.utime(planted.folder / f"{planted.name}.inter", (1, 1))
    assert data_name(planted, tmp_path) == before


def test_a_file_is_read_once(planted, monkeypatch):
    file = planted.folder / f"{planted.name}.inter"
    first = key.hash_of(file)
    monkeypatch.setattr("builtins.open", lambda *_, **__: pytest.fail("read again"))
    assert key.hash_of(file) == first


@pytest.mark.parametrize("place", ["options", "config_files"])
def test_the_data_lie_where_the_options_say(tmp_path, place):
    (tmp_path / "far").mkdir()
    (tmp_path / "own.yaml").write_text(f"data_path: {tmp_path}")
    options = {"model": "Pop"}
    options |= {"data_path": str(tmp_path)} if place == "options" else {"config_files": str(tmp_path / "own.yaml")}
    assert key.data_folder("far", options, "ranking") == tmp_path / "far"
    before = name_of(options, tmp_path, dataset="far")
    (tmp_path / "far" / "far.inter").write_text("user_id:token\titem_id:token\n")
    assert name_of(options, tmp_path, dataset="far") != before


def test_shipped_vectors_count_until_the_folder_has_them(tmp_path, monkeypatch):
    monkeypatch.setattr(key, "resource_dir", lambda name: tmp_path / name if name == "dataset" else resource_dir(name))
    shipped, own = tmp_path / "dataset" / "x" / "x.text", tmp_path / "data" / "x" / "x.text"
    options = {"model": "MMFS", "data_path": str(tmp_path / "data")}

    def name_with(file: Path, text: str) -> str:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return name_of(options, tmp_path)

    first = name_with(shipped, "item_id:token\ttext_vec:float_seq\n1\t1\n")
    assert name_with(own, shipped.read_text()) == first  # a copy, as the builder makes it
    assert name_with(shipped, "not read any more") == first
    assert name_with(own, "item_id:token\ttext_vec:float_seq\n1\t2\n") != first
    assert name_with(shipped.with_name("other.text"), "of another data set") == name_of(options, tmp_path)


# ---------------------------------------------------------------------- properties and versions


def test_property_files_that_the_run_reads_count_by_value(tmp_path, monkeypatch):
    shutil.copytree(resource_dir("properties"), tmp_path / "properties")
    monkeypatch.setattr(
        key, "resource_dir", lambda name: tmp_path / name if name == "properties" else resource_dir(name)
    )

    def changed_by(name: str, text: str) -> set[str]:
        def names() -> dict[str, str]:
            sources._read_once.cache_clear()
            return {model: name_of({"model": model}, tmp_path, dataset="ml-100k-mm") for model in MODELS}

        before, path = names(), tmp_path / "properties" / name
        path.write_text(path.read_text() + text)
        after = names()
        return {model for model in MODELS if before[model] != after[model]}

    assert changed_by("overall.yaml", "\nnew_option: 1\n") == EVERY
    assert changed_by("overall.yaml", "\n# a comment\n") == set()
    assert changed_by("model/MMSP.yaml", "\nnew_option: 1\n") == {"MMSP"}
    assert changed_by("rating.yaml", "\nnew_option: 1\n") == EVERY - {"MMFS", "MMSP", "MMASP"}
    assert changed_by("dataset/ml-100k-mm.yaml", "\nnew_option: 1\n") == EVERY
    assert changed_by("dataset/mmtf-14k.yaml", "\nnew_option: 1\n") == set()
    assert changed_by("protocol/u1.yaml", "\nnew_option: 1\n") == EVERY
    assert changed_by("protocol/u2.yaml", "\nnew_option: 1\n") == set()
    sources._read_once.cache_clear()


def test_versions_of_what_computes_the_numbers_count(tmp_path, monkeypatch):
    before = name_of({"model": "MMFS"}, tmp_path)
    for package, same in (("recbole-mm", True), ("torch", False), ("recbole", False), ("numpy", False)):
        monkeypatch.setattr(key, "versions", lambda package=package: {**versions(), package: "other"})
        assert (name_of({"model": "MMFS"}, tmp_path) == before) is same
