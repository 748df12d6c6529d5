"""No option, file, folder or checkpoint runs code through RecBole."""

from __future__ import annotations

import os
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import recbole
import torch

from recbole_mm import unsafe_calls
from recbole_mm.config.config import Config
from recbole_mm.errors import InputError
from recbole_mm.inference.load import load
from recbole_mm.training.checkpoint import load_checkpoint, save_checkpoint
from recbole_mm.training.session import run

RECBOLE = Path(recbole.__file__).parent
DANGEROUS = re.compile(
    r"(?<![\w.])(?:eval|exec|compile|__import__)\(|\b(?:c?[Pp]ickle|dill|joblib|marshal|shelve)\.(?:loads?|open|Unpickler)\("
    r"|\b(?:torch|np|numpy|pd|pandas)\.(?:load|read_pickle)\(|\byaml\.(?:unsafe_|full_)?load\w*\(|importlib\.import_module\("
    r"|\bos\.(?:system|popen)\(|\bsubprocess\.\w+\("
)


class Payload:
    """Unpickling it creates a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


@pytest.fixture
def mark(tmp_path) -> Path:
    """The file that is created if code from a file or an option runs."""
    path = tmp_path / "code has run"
    yield path
    assert not path.exists()


def test_the_payload_works(tmp_path):
    pickle.loads(pickle.dumps(Payload(tmp_path / "x")))  # noqa: S301 - what was just written
    assert (tmp_path / "x").exists()


def test_every_call_of_the_installed_recbole_that_could_run_code_is_accounted_for():
    found = set()
    for path in sorted(RECBOLE.rglob("*.py")):
        for line in path.read_text(encoding="utf-8").splitlines():
            code = line.split("#")[0]
            found |= {(path.relative_to(RECBOLE).as_posix(), call) for call in DANGEROUS.findall(code)}
    assert found == set(unsafe_calls.CALLS)


def test_patches_are_in_force():
    from recbole.config import configurator
    from recbole.data import utils
    from recbole.model.context_aware_recommender import kd_dagfm
    from recbole.model.general_recommender import ldiffrec

    for text in ("__import__('os').getcwd()", "().__class__", "open('x', 'w')", "[" * 5000):
        with pytest.raises((NameError, SyntaxError)):
            configurator.eval(text)
        with pytest.raises(InputError, match="option 'teacher' is .* but takes one of"):
            kd_dagfm.eval(text)
    assert configurator.eval("[1, 2.5, 'a']") == [1, 2.5, "a"]
    assert kd_dagfm.eval("CrossNet") is kd_dagfm.CrossNet
    with pytest.raises(InputError, match="pickled Python objects"):
        utils.pickle.load(None)
    assert utils.pickle.dump is pickle.dump and ldiffrec.np.zeros is np.zeros


def test_a_pickled_array_is_refused(tmp_path, mark):
    from recbole.model.general_recommender import ldiffrec

    np.save(tmp_path / "item_emb.npy", np.array([Payload(mark)], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="item_emb.npy: not an array of numbers"):
        ldiffrec.np.load(str(tmp_path / "item_emb.npy"), allow_pickle=True)
    np.save(tmp_path / "good.npy", np.eye(2))
    assert ldiffrec.np.load(str(tmp_path / "good.npy"), allow_pickle=True).sum() == 2


@pytest.mark.parametrize("model", ["LightGCN", "DeepFM", "MMFS", "GRU4Rec"])
def test_a_pickled_data_set_in_the_folder_of_checkpoints_is_not_read(planted, mark, model):
    folder = Path("somebody else's")
    folder.mkdir()
    for name in ("Dataset", "SequentialDataset", "KnowledgeBasedDataset", "MultimodalDataset"):
        (folder / f"{planted.name}-{name}.pth").write_bytes(pickle.dumps(Payload(mark)))
    for loader in (model, "x"):
        (folder / f"{planted.name}-for-{loader}-dataloader.pth").write_bytes(pickle.dumps(Payload(mark)))
    of_model = {"GRU4Rec": {"train_neg_sample_args": None, "MAX_ITEM_LIST_LENGTH": 3}, "MMFS": planted.options()}
    options = planted.data_options(**{**of_model.get(model, {}), "epochs": 1, "checkpoint_dir": str(folder)})
    result = run(model, planted.name, config_dict=options)
    load(result.checkpoint)
    run(arguments=[f"--evaluate={result.checkpoint}"])


@pytest.mark.parametrize("option", unsafe_calls.PICKLED)
@pytest.mark.parametrize("model", ["LightGCN", "MMASP"])
@pytest.mark.parametrize("source", ["dict", "file", "command line", "data set", "checkpoint"])
def test_options_of_pickled_files_are_refused_from_every_source(planted, mark, option, model, source):
    file = Path("evil.pth")
    file.write_bytes(pickle.dumps(Payload(mark)))
    value = True if option.startswith("save") else str(file)
    with pytest.raises(InputError, match=f"option '{option}' is for files of pickled Python objects"):
        use_option(source, planted, model, option, value)


def use_option(source: str, planted, model: str, option: str, value: bool | str) -> None:
    shown = "true" if value is True else value
    if source == "dict":
        Config(model, planted.name, config_dict={**planted.data_options(), option: value})
    elif source == "file":
        Path("own.yaml").write_text(f"{option}: {shown}\n")
        Config(model, planted.name, ["own.yaml"], planted.data_options())
    elif source == "command line":
        Config(model, planted.name, config_dict=planted.data_options(), arguments=[f"--{option}={shown}"])
    elif source == "data set":
        (planted.folder / f"{planted.name}.yaml").write_text(f"{option}: {shown}\n")
        Config(model, planted.name, config_dict=planted.data_options())
    else:
        options = planted.options() if model == "MMASP" else planted.data_options()
        checkpoint = run(model, planted.name, config_dict={**options, "epochs": 1}).checkpoint
        content = load_checkpoint(checkpoint)
        content["config"][option] = value
        save_checkpoint(checkpoint, {name: content[name] for name in content if not name.startswith("format")})
        load(checkpoint)


def test_a_teacher_is_the_name_of_a_class(planted, mark):
    options = planted.data_options(epochs=1, teacher=f"__import__('pathlib').Path({str(mark)!r}).touch", t_depth=1)
    with pytest.raises(InputError, match="option 'teacher' is .* but takes one of"):
        run("KD_DAGFM", planted.name, config_dict=options)


def test_pretrained_weights_are_weights(planted, mark):
    torch.save({"state_dict": Payload(mark)}, "mf.pth")
    options = planted.data_options(epochs=1, use_pretrain=True, mf_pretrain_path="mf.pth", mlp_pretrain_path="mf.pth")
    with pytest.raises(InputError, match="pretrained weights holds more than weights and plain values"):
        run("NeuMF", planted.name, config_dict=options)


def test_the_switch_that_lets_torch_unpickle_everything_has_no_effect(monkeypatch):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    unsafe_calls.keep_weights_only()
    assert "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD" not in os.environ
