"""Models of other packages: the package of docs/extending.md, installed into a folder, and what can be wrong "
"with one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from doc_pages import ROOT, blocks_of

import recbole_mm
from recbole_mm.benchmark import key, suites
from recbole_mm.cli.main import main
from recbole_mm.config.config import Config
from recbole_mm.errors import InputError
from recbole_mm.model.registry import get_model, model_names


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """A folder into which pip has installed the package that docs/extending.md shows."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    blocks = blocks_of(ROOT / "docs" / "extending.md")
    (code,) = [block.text for block in blocks if block.file == "my_models/my_models.py"]
    (project,) = [block.text for block in blocks if block.text.startswith("[build-system]")]
    (source / "my_models.py").write_text(code, encoding="utf-8")
    (source / "pyproject.toml").write_text(project, encoding="utf-8")
    command = ["pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", f"--target={target}"]
    done = subprocess.run([sys.executable, "-m", *command, str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture
def installed(site, monkeypatch) -> Path:
    monkeypatch.syspath_prepend(str(site))
    yield site
    sys.modules.pop("my_models", None)


def announce(folder: Path, monkeypatch, name: str, value: str, code: str = "") -> None:
    """What pip leaves of a package that announces one model."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "other_models.py").write_text(code, encoding="utf-8")
    info = folder / "other_models-2.0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-models\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text(f"[recbole_mm.models]\n{name} = {value}\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "other_models", raising=False)


def test_a_model_of_a_package_trains_and_is_loaded_again(installed, planted, capsys):
    assert "GatedTasks" in model_names() and get_model("GatedTasks").__module__ == "my_models"
    arguments = [f"--{name}={value}" for name, value in planted.options(epochs=2).items() if name != "load_col"]
    (planted.folder / "planted.yaml").write_text(yaml.safe_dump({"load_col": planted.options()["load_col"]}))
    arguments = [text.replace("'", "") for text in arguments]
    assert main(["run", "--model=GatedTasks", "--dataset=planted", "--gate_bias=0.5", *arguments]) == 0
    assert "GatedTasks on planted" in capsys.readouterr().out
    (checkpoint,) = Path("saved").glob("GatedTasks-*.pt")
    recommender = recbole_mm.load(checkpoint)
    assert type(recommender.model).__name__ == "GatedTasks" and len(recommender.recommend("u1", 3)) == 3


def test_its_options_are_checked_like_all_others(installed, planted):
    config = Config("GatedTasks", planted.name, config_dict=planted.options(epochs=2))
    assert (config["gate_bias"], config["epochs"], config["ranking_size"]) == (1.0, 2, 128)
    for wrong, message in (
        ("--gate_bais=1", "unknown option 'gate_bais' for model GatedTasks. Did you mean 'gate_bias'?"),
        ("--gate_bias=open", "option 'gate_bias' is 'open', but takes a number"),
        ("--ranking_dropout=2", r"option 'ranking_dropout' is 2, but must be in \[0, 1\)"),
    ):
        with pytest.raises(InputError, match=message):
            Config("GatedTasks", planted.name, config_dict=planted.options(), arguments=[wrong])


def test_it_is_a_row_of_any_suite_and_its_code_decides_what_is_kept(installed, planted, tmp_path, monkeypatch):
    folder = tmp_path / "properties" / "benchmark"
    folder.mkdir(parents=True)
    plan = {"protocols": ["ranking"], "seeds": [1], "rows": {"Pop": {"model": "Pop"}}}
    (folder / "small.yaml").write_text(yaml.safe_dump(plan))
    monkeypatch.setattr(suites, "resource_dir", lambda name: tmp_path / name)
    (planted.folder / "planted.yaml").write_text(
        yaml.safe_dump({"load_col": planted.options()["load_col"], "modalities": ["text"], "epochs": 1})
    )
    monkeypatch.setenv("PYTHONPATH", f"{installed}:{ROOT}")  # the processes of the runs
    assert main(["benchmark", "--dataset=planted", "--suite=small", "--models", "GatedTasks"]) == 0
    lines = pd.read_csv("results/planted/small.csv")
    assert set(lines["row"]) == {"Pop", "GatedTasks"} and lines["ndcg@10"].notna().all()
    cell = key.make_cell("x", "planted", {"model": "GatedTasks"}, "ranking", 1, tmp_path)
    again = key.make_cell("x", "planted", {"model": "GatedTasks"}, "ranking", 1, tmp_path)
    code = installed / "my_models.py"
    before = code.read_text()
    code.write_text(before + "\nX = 1\n")
    changed = key.make_cell("x", "planted", {"model": "GatedTasks"}, "ranking", 1, tmp_path)
    code.write_text(before)
    assert cell.file == again.file != changed.file


def test_a_class_on_a_model_of_recbole_has_its_options(tmp_path, planted, monkeypatch):
    code = (
        "from recbole.model.general_recommender import LightGCN\n"
        "class Deep(LightGCN):\n"
        "    default_options = {'n_layers': 4, 'sharpness': 2}\n"
    )
    announce(tmp_path / "site", monkeypatch, "Deep", "other_models:Deep", code)
    config = Config("Deep", planted.name, config_dict=planted.data_options())
    assert (config["n_layers"], config["sharpness"], config["reg_weight"]) == (4, 2, 1e-05)
    result = recbole_mm.run("Deep", planted.name, config_dict=planted.data_options(epochs=1))
    assert "ndcg@10" in result.test


def test_names_of_this_package_and_of_recbole_come_first(tmp_path, monkeypatch):
    announce(tmp_path / "site", monkeypatch, "BPR", "other_models:BPR", "raise RuntimeError('imported')")
    assert get_model("BPR").__module__.startswith("recbole.")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import nothing_there", "model 'Other' of other-models 2.0: other_models:Other cannot be imported"),
        ("class Another: pass", "cannot be imported .AttributeError"),
        ("class Other: pass", "is no model; it must be a class that stands on"),
        ("from recbole.model.general_recommender import Pop as Other", "the class is called Pop"),
    ],
)
def test_a_package_that_is_wrong_is_one_line_that_names_it(tmp_path, monkeypatch, planted, code, message):
    announce(tmp_path / "site", monkeypatch, "Other", "other_models:Other", code)
    with pytest.raises(InputError, match=message):
        Config("Other", planted.name, config_dict=planted.data_options())


@pytest.mark.parametrize("options", ["[1]", "{'a b': 1}", "{'a': object()}"])
def test_default_options_are_plain(tmp_path, monkeypatch, planted, options):
    code = f"from recbole.model.general_recommender import Pop\nclass Other(Pop):\n    default_options = {options}\n"
    announce(tmp_path / "site", monkeypatch, "Other", "other_models:Other", code)
    with pytest.raises(InputError, match="Other.default_options"):
        Config("Other", planted.name, config_dict=planted.data_options())


def test_a_model_that_is_nowhere_is_unknown(planted):
    with pytest.raises(InputError, match="model 'GatedTask' is unknown"):
        Config("GatedTask", planted.name, config_dict=planted.data_options())
