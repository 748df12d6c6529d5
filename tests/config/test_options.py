"""The table of options: complete, consistent, and the source of the property files."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from recbole.utils import ModelType

from recbole_mm.config.config import Config
from recbole_mm.config.options.files import property_files, stale_files, write_files
from recbole_mm.config.options.option import Option, kind_of
from recbole_mm.config.options.overall import OVERALL
from recbole_mm.config.options.table import FORMER_NAMES, OF_EVERY_RUN, OF_MODEL, all_options
from recbole_mm.config.schema import CHOICES, RANGES, RENAMED, SCALAR_FOR_LIST, TYPES, Schema
from recbole_mm.config.sources import Given, read_mapping
from recbole_mm.data.corruption import CORRUPTIONS
from recbole_mm.data.vectors import NON_FINITE_CHOICES
from recbole_mm.errors import InputError
from recbole_mm.model.registry import BASELINES, MODELS
from recbole_mm.resources import resource_dir

every_option = pytest.mark.parametrize("option", list(all_options()), ids=lambda option: option.name)


# ---------------------------------------------------------------------- the table


@every_option
def test_an_option_is_consistent(option: Option):
    assert re.fullmatch(r"[a-z]\w*", option.name)
    assert option.help.endswith(".") and "\n" not in option.help
    assert kind_of(option.default) in option.all_kinds
    assert option.kinds or option.default is not None, "a default of ~ does not tell the kinds"
    if option.range and option.default is not None:
        assert option.range.contains(option.default)
    if option.range:
        assert not option.range.contains(float("nan"))
    if option.choices:
        assert option.default in option.choices
        assert [choice for choice in option.choices if choice not in option.help] == []
    if "list" in option.all_kinds and option.default:
        assert {kind_of(item) for item in option.default} == {option.items}


def test_models_of_the_table_exist_and_no_option_comes_twice():
    assert {"MMFS", "MMSP", "MMASP", "Bias", "VBPR"} <= set(OF_MODEL) <= {*MODELS, *BASELINES}
    names = [option.name for section in OVERALL for option in section.options]
    assert len(names) == len(set(names))
    for of_model in OF_MODEL.values():
        assert not set(of_model) & set(OF_EVERY_RUN)


def test_options_of_one_name_take_the_same_values():
    known: dict[str, Option] = {}
    for option in all_options():
        other = known.setdefault(option.name, option)
        assert (option.all_kinds, option.range, option.choices) == (other.all_kinds, other.range, other.choices)


def test_what_models_share_is_written_once():
    shared = set(OF_MODEL["MMFS"])
    assert len(shared) > 20
    for model in ("MMSP", "MMASP"):
        assert all(OF_MODEL[model][name] is OF_MODEL["MMFS"][name] for name in shared)
    assert set(OF_MODEL["MMSP"]) - shared == {"private_size"}
    assert set(OF_MODEL["MMASP"]) - set(OF_MODEL["MMSP"]) == {
        *("adversarial_strength", "adversarial_genres", "adversarial_rise", "orthogonality_weight")
    }


def test_the_schema_repeats_nothing_of_the_table():
    in_schema = {*TYPES, *RANGES, *CHOICES, *SCALAR_FOR_LIST}
    for option in all_options():
        if option.kinds or option.range or option.choices or option.former:
            assert option.name not in in_schema
    assert not set(RENAMED) & set(FORMER_NAMES)


def test_choices_are_those_of_the_code():
    assert OF_EVERY_RUN["modality_corruption"].choices == CORRUPTIONS
    assert OF_EVERY_RUN["non_finite_vectors"].choices == NON_FINITE_CHOICES


# ---------------------------------------------------------------------- the files


def test_the_property_files_are_those_of_the_table():
    stale = stale_files(resource_dir("properties"))
    assert not stale, "run: python -m recbole_mm.config.options"


def test_stale_and_absent_files_are_written_and_others_left_alone(tmp_path: Path):
    properties = Path(shutil.copytree(resource_dir("properties"), tmp_path / "properties"))
    (properties / "overall.yaml").write_text("seed: 1\n", encoding="utf-8")
    (properties / "model" / "Bias.yaml").unlink()
    (properties / "model" / "Mine.yaml").write_text("own: 1\n", encoding="utf-8")
    assert stale_files(properties) == ["overall.yaml", "model/Bias.yaml"]
    assert write_files(properties) == ["overall.yaml", "model/Bias.yaml"]
    assert stale_files(properties) == write_files(properties) == []
    assert read_mapping(properties / "model" / "Mine.yaml") == {"own": 1}


def test_a_file_holds_the_defaults_of_the_table(tmp_path: Path):
    write_files(tmp_path)
    for name in property_files():
        options = OF_EVERY_RUN if name == "overall.yaml" else OF_MODEL[Path(name).stem]
        read = read_mapping(tmp_path / name)
        assert list(read) == list(options)
        for option in options.values():
            default = list(option.default) if isinstance(option.default, tuple) else option.default
            assert read[option.name] == default and type(read[option.name]) is type(default)


def test_the_command_says_what_it_wrote():
    done = subprocess.run([sys.executable, "-m", "recbole_mm.config.options"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "nothing has changed\n"), done.stderr


# ---------------------------------------------------------------------- names and values


@pytest.mark.parametrize(
    ("former", "name", "value"),
    [
        ("ranking_linear_weight", "ease_weight", 1.0),
        ("ranking_influence", "ranking_gradient_scale", 0.1),
        ("modality_control", "modality_corruption", "noise"),
        ("vector_components", "pca_components", 8),
        ("outcome_file", "predictions_file", "out.npz"),
    ],
)
def test_a_renamed_option_is_an_error_that_says_the_new_name(former: str, name: str, value: object, tmp_path: Path):
    file = tmp_path / "old.yaml"
    file.write_text(f"{former}: {value}\n", encoding="utf-8")
    for origin, source in (
        ("command line", {"arguments": [f"--{former}={value}"]}),
        ("config_dict", {"config_dict": {former: value}}),
        (str(file), {"config_file_list": [file]}),
    ):
        with pytest.raises(InputError) as caught:
            Config("MMASP", "ml-100k-mm", **source)
        assert str(caught.value) == f"{origin}: option '{former}' is now called '{name}'"
    assert Config("MMASP", "ml-100k-mm", config_dict={name: value})[name] == value


def test_each_renamed_option_is_tested():
    assert set(FORMER_NAMES) == {
        *("ranking_linear_weight", "ranking_influence", "modality_control", "vector_components", "outcome_file")
    }


@pytest.mark.parametrize(
    ("model", "option", "value", "message"),
    [
        ("MMASP", "private_size", "wide", "takes a whole number or ~"),
        ("MMASP", "private_size", -1, "must be >= 0"),
        ("MMASP", "tasks", [1], "each must be text"),
        ("Bias", "biases", {"item": 1}, "takes a list"),
        ("GenreRidge", "genre_penalty", 0, "> 0"),
        ("BPR", "batches_of", "user", "Did you mean 'users'"),
    ],
)
def test_a_value_outside_the_table_is_refused(model: str, option: str, value: object, message: str):
    with pytest.raises(InputError, match=message):
        Schema(model, ModelType.GENERAL).check({option: Given(value, "here")})


@pytest.mark.parametrize(
    ("option", "value", "typed"), [("tasks", None, None), ("tasks", "rating", ["rating"]), ("modalities", [], [])]
)
def test_a_value_of_the_table_is_taken(option: str, value: object, typed: object):
    assert Schema("MMFS", ModelType.GENERAL).check({option: Given(value, "here")}) == {option: typed}


# ---------------------------------------------------------------------- a model of the user's own


@pytest.fixture
def own_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Schema:
    """A model with its options in a property file alone, which began as a copy of another's."""
    properties = Path(shutil.copytree(resource_dir("properties"), tmp_path / "properties"))
    copied = (properties / "model" / "MMSP.yaml").read_text(encoding="utf-8")
    own = "gate_bias: 1.0  # (float) Bias of the gate.\nfactors: 0.5  # (float) Not SVDpp's.\n"
    (properties / "model" / "Own.yaml").write_text(f"{copied}\n{own}", encoding="utf-8")
    monkeypatch.setattr("recbole_mm.config.schema.resource_dir", lambda name: tmp_path / name)
    return Schema("Own", ModelType.GENERAL)


def test_the_property_file_of_an_own_model_tells_its_options(own_model: Schema):
    given = {"gate_bias": 2, "factors": 0.25, "private_size": None, "embedding_size": 16}
    assert own_model.check({option: Given(value, "here") for option, value in given.items()}) == given
    for option, value, message in [
        ("gate_bias", "open", "takes a number"),
        ("private_size", "wide", "takes a whole number or ~"),
        ("ranking_dropout", 1.0, r"must be in \[0, 1\)"),
        ("ranking_influence", 0.1, "is now called 'ranking_gradient_scale'"),
        ("gate_bia", 1, "Did you mean 'gate_bias'"),
    ]:
        with pytest.raises(InputError, match=message):
            own_model.check({option: Given(value, "here")})
