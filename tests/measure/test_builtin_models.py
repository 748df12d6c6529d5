"""Every model that the installed RecBole has: trained, saved, evaluated and resumed, or refused in one line.

The models are found by walking RecBole's folders. The first two of each kind run by default, all with ``-m slow`` too.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
from doc_pages import ROOT

from recbole_mm import run
from recbole_mm.config.config import Config
from recbole_mm.errors import InputError
from recbole_mm.measure import builtin_models as sweep
from recbole_mm.measure.small_data import NAME, write_small_data
from recbole_mm.model.baselines.rating_regressors import RATING_FORMS
from recbole_mm.model.registry import kind_of_model, packages_of, recbole_model_names
from recbole_mm.training.checkpoint import load_checkpoint, save_checkpoint

# State outside the weights, an optimiser for each half, a transform, features of sequences, stages of training.
QUICK = ("MultiVAE", "DiffRec", "LDiffRec", "RecVAE", "SHAN", "GRU4RecF", "KSR", "RaCT", "CKE")


def first_of_each_kind(number: int = 2) -> set[str]:
    by_kind: dict[str, list[str]] = {}
    for name in recbole_model_names():
        by_kind.setdefault(kind_of_model(name), []).append(name)
    return {name for names in by_kind.values() for name in names[:number]}


EVERY_MODEL = [
    pytest.param(name, marks=() if name in {*first_of_each_kind(), *QUICK} else pytest.mark.slow)
    for name in recbole_model_names()
]


@pytest.fixture
def data_path(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_small_data(tmp_path / "dataset")


def options(data_path: Path, **changes) -> dict:
    return {**sweep.OPTIONS, "data_path": str(data_path), **changes}


def test_the_models_are_those_of_the_installed_recbole():
    assert set(recbole_model_names()) > {"BPR", "FM", "SASRec", "CKE", "XGBoost"}
    assert set(QUICK) <= set(recbole_model_names()) and len(recbole_model_names()) > 80


@pytest.mark.parametrize("model", EVERY_MODEL)
def test_a_model_trains_evaluates_and_resumes_or_is_refused_in_one_line(model, data_path):
    outcome = sweep.try_model(model, "ranking", data_path)
    missing = [package for package in packages_of(model) if importlib.util.find_spec(package) is None]
    if kind_of_model(model) == "exlib":
        assert re.fullmatch(f"model '{model}': RecBole's decision trees have no epochs .*", outcome.refusal)
    elif missing:
        assert outcome.works is None
        assert re.fullmatch(
            f"model '{model}' needs the package .* not installed; type: pip install .*", outcome.refusal
        )
    else:
        assert outcome.works, outcome.refusal
        assert "ndcg@10" in outcome.metrics


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["u1", "cold-item"])
@pytest.mark.parametrize("model", [name for name in recbole_model_names() if name in RATING_FORMS])
def test_a_rating_form_rates(model, protocol, data_path):
    outcome = sweep.try_model(model, protocol, data_path)
    assert "rmse" in outcome.metrics or "knows a movie by its training ratings alone" in outcome.refusal


def test_a_difference_is_seen(data_path, monkeypatch):
    """The state that RecBole's checkpoint lacks: without it the sweep says so."""
    monkeypatch.setattr("recbole_mm.training.builtin_state.StateOutsideWeights.put", lambda *_: None)
    with pytest.raises(sweep.NotTheSame, match="LDiffRec: the loss of epoch 2 after resuming"):
        sweep.try_model("LDiffRec", "ranking", data_path)


def test_the_page_lists_every_model_and_says_what_the_code_says():
    rows = {}
    for line in (ROOT / "docs" / "builtin-models.md").read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] in recbole_model_names():
            rows[cells[0]] = cells
    assert list(rows) == list(recbole_model_names())
    for model, (_, kind, *marks, needs) in rows.items():
        assert kind == kind_of_model(model)
        assert needs == ", ".join(f"`{package}`" for package in packages_of(model))
        assert (marks[2] == "✓") == (model in RATING_FORMS), model
        assert needs or marks[0].startswith("✓"), model


# ---------------------------------------------------------------------- state outside the weights


@pytest.mark.parametrize(
    "change, said",
    [
        ({"attributes": {"update": 1.5}, "optimizers": {}}, "'update' of a kind or shape"),
        ({"attributes": {"forward": 1}, "optimizers": {}}, "'forward' of a kind or shape"),
        ({"attributes": [1], "optimizers": {}}, "'training' is not what"),
        ({"attributes": {}, "optimizers": {"optimizer_encoder": {}}}, "'training' is not what"),
        ({}, "'training' is not what"),
    ],
)
def test_a_damaged_state_is_refused(data_path, change, said):
    path = run("MultiVAE", NAME, config_dict=options(data_path, epochs=1)).checkpoint
    save_checkpoint(path, {**load_checkpoint(path), "training": change})
    with pytest.raises(InputError, match=said):
        run(arguments=[f"--resume={path}", "--epochs=2"])


def test_a_model_of_one_epoch_says_that_there_is_nothing_to_resume(data_path):
    path = run("EASE", NAME, config_dict=options(data_path)).checkpoint
    with pytest.raises(InputError, match="a EASE is trained in one epoch; nothing is left to resume"):
        run(arguments=[f"--resume={path}", "--epochs=9"])


# ---------------------------------------------------------------------- stages


def test_a_stage_starts_from_the_checkpoint_of_the_one_before(data_path):
    actor = run("RaCT", NAME, config_dict=options(data_path, pretrain_epochs=2))
    stage = {"pretrain_epochs": 1, "pre_model_path": actor.checkpoint}
    critic = run("RaCT", NAME, config_dict=options(data_path, train_stage="critic_pretrain", **stage))
    before, after = (load_checkpoint(result.checkpoint)["state_dict"] for result in (actor, critic))
    moved = {name.split(".")[0] for name in before if not before[name].equal(after[name])}
    assert moved == {"critic_net"}
    tuned = run(
        "RaCT", NAME, config_dict=options(data_path, train_stage="finetune", epochs=2, pre_model_path=critic.checkpoint)
    )
    assert tuned.epochs == 2 and tuned.test["ndcg@10"] > 0
    assert run(arguments=[f"--evaluate={tuned.checkpoint}"]).test == tuned.test


def test_convncf_starts_from_a_bpr(data_path):
    path = run("BPR", NAME, config_dict=options(data_path, epochs=1)).checkpoint
    start = {"train_method": "after_pretrain", "pre_model_path": path, "epochs": 0}
    run("ConvNCF", NAME, config_dict=options(data_path, **start))
    newest = max(Path("saved").glob("ConvNCF-*.pt"))
    wanted = load_checkpoint(path)["state_dict"]["user_embedding.weight"]
    assert load_checkpoint(newest)["state_dict"]["user_embedding.weight"].equal(wanted)


def test_a_stage_without_the_one_before_is_refused(data_path):
    for model, stage in (("S3Rec", {"train_stage": "finetune"}), ("KD_DAGFM", {"phase": "distillation"})):
        with pytest.raises(InputError, match="starts from the weights of an earlier run; name its checkpoint with"):
            Config(model, NAME, config_dict=options(data_path, **stage))
    with pytest.raises(InputError, match="'pre_model_path': there is no file no.pt"):
        Config("S3Rec", NAME, config_dict=options(data_path, train_stage="finetune", pre_model_path="no.pt"))


def test_a_stage_on_other_data_is_refused(data_path):
    path = run("RaCT", NAME, config_dict=options(data_path, pretrain_epochs=1)).checkpoint
    other = options(data_path, train_stage="critic_pretrain", pre_model_path=path, seed=9, pretrain_epochs=1)
    with pytest.raises(InputError, match="was trained on other ratings or movies than this run's"):
        run("RaCT", NAME, config_dict=other)


# ---------------------------------------------------------------------- what RecBole's models refuse


def test_a_model_that_wants_more_items_is_one_line(data_path):
    with pytest.raises(InputError, match=r"DGCF cannot train with .*Sample larger than population.*dgcf.py, line \d+"):
        run("DGCF", NAME, config_dict=options(data_path, train_batch_size=100_000, epochs=1))


def test_an_error_of_this_package_keeps_its_traceback(data_path, monkeypatch):
    monkeypatch.setattr("recbole_mm.training.evaluation.EvaluationMixin._check_nan", lambda *_: {}["ours"])
    with pytest.raises(KeyError, match="ours"):
        run("BPR", NAME, config_dict=options(data_path, epochs=1))


def test_one_test_row_a_user_has_no_order_of_ratings(data_path):
    split = {"split": {"LS": "valid_and_test"}, "order": "TO"}
    assert "rated_ndcg@10" not in run("BPR", NAME, config_dict=options(data_path, epochs=1, eval_args=split)).test
    with pytest.raises(InputError, match="rated_ndcg: needs ratings, several of each user in a part"):
        Config("BPR", NAME, config_dict=options(data_path, eval_args=split, metrics=["NDCG", "rated_ndcg"]))
