"""Which options are known: RecBole's lists, what RecBole's and our code read, and our property files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import recbole
from recbole.utils import ModelType
from recbole.utils.argument_list import (
    dataset_arguments,
    evaluation_arguments,
    general_arguments,
    training_arguments,
)

import recbole_mm
from recbole_mm.config.config import Config
from recbole_mm.config.options.option import kind_of
from recbole_mm.config.schema import DERIVED, RANGES, Schema
from recbole_mm.config.sources import Given, read_mapping
from recbole_mm.errors import InputError
from recbole_mm.model.registry import BASELINES, MODELS, recbole_model_names
from recbole_mm.resources import resource_dir

READ = re.compile(r"""\bconfig(?:\.get\(|\[)\s*["'](\w+)["']|["'](\w+)["'] (?:not )?in (?:self\.)?config\b""")
RECBOLE = Path(recbole.__file__).parent
TYPE_OF_FOLDER = {
    "context_aware_recommender": ModelType.CONTEXT,
    "exlib_recommender": ModelType.DECISIONTREE,
    "general_recommender": ModelType.GENERAL,
    "knowledge_aware_recommender": ModelType.KNOWLEDGE,
    "sequential_recommender": ModelType.SEQUENTIAL,
}


def options_read(path: Path) -> set[str]:
    return {one or other for one, other in READ.findall(path.read_text(encoding="utf-8"))}


def schema_of(model: str, kind: ModelType = ModelType.GENERAL) -> Schema:
    return Schema(model, kind)


# Read by RecBole's trainers on behalf of one kind of model, in whose property file they are.
OF_TRAINERS = {
    "trainer.py": (
        "KGAT",
        "MKR",
        "KTUP",
        "RaCT",
        "RecVAE",
        "S3Rec",
        "XGBoost",
        "LightGBM",
        "NCL",
        "ConvNCF",
        "KD_DAGFM",
    ),
    "abstract_recommender.py": ("FM",),
    "decisiontree_dataset.py": ("XGBoost",),
}


def test_each_option_that_recbole_reads_is_known():
    names = {name.lower(): name for name in recbole_model_names()}
    unknown = {}
    files = [path for path in RECBOLE.rglob("*.py") if path.parent.name not in ("config", "quick_start")]
    assert len(files) > 100
    for path in files:
        kind = TYPE_OF_FOLDER.get(path.parent.name, ModelType.GENERAL)
        models = [names[path.stem]] if path.stem in names else OF_TRAINERS.get(path.name, ("Pop",))
        kinds = {"FM": ModelType.CONTEXT, "XGBoost": ModelType.DECISIONTREE, "LightGBM": ModelType.DECISIONTREE}
        known = {option for model in models for option in schema_of(model, kinds.get(model, kind)).defaults}
        missing = options_read(path) - known - set(DERIVED)
        if missing:
            unknown[str(path.relative_to(RECBOLE))] = missing
    assert not unknown


def test_each_option_that_this_package_reads_is_known_and_has_a_default_or_type():
    known = set().union(*(schema_of(model).defaults for model in (*MODELS, *BASELINES)))
    files = list(Path(recbole_mm.__file__).parent.rglob("*.py"))
    read = set().union(*(options_read(path) for path in files))
    assert {"modalities", "like_threshold", "rating_scale"} <= read
    of_flask = {"MAX_CONTENT_LENGTH", "MAX_BYTES", "LARGER"}
    assert read - known - set(DERIVED) - of_flask == set()


def test_each_of_recboles_listed_options_is_known():
    listed = [*general_arguments, *training_arguments, *evaluation_arguments, *dataset_arguments]
    schema = schema_of("BPR")
    assert [option for option in listed if option not in schema] == []


@pytest.mark.parametrize("model", [*MODELS, "BPR", "FM", "SASRecF", "KGAT"])
def test_every_default_passes_its_own_check(model: str):
    kind = {"FM": ModelType.CONTEXT, "SASRecF": ModelType.SEQUENTIAL, "KGAT": ModelType.KNOWLEDGE}
    schema = schema_of(model, kind.get(model, ModelType.GENERAL))
    defaults = {k: Given(v, "default") for k, v in schema.defaults.items() if v is not None and k not in DERIVED}
    assert set(schema.check(defaults)) == set(defaults)


def our_files() -> list[Path]:
    folder = resource_dir("properties")
    others = {"benchmark", "tuning", "tuned"}  # of other forms, or made by a command
    return sorted(p for p in folder.rglob("*.yaml") if not others & set(p.relative_to(folder).parts))


@pytest.mark.parametrize("path", our_files(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_our_property_files_name_known_options_and_explain_each(path: Path):
    of_file = {"paper": "MMASP", "rating": "xDeepFM"}  # rating.yaml has an option that this model alone has
    model = {"model": path.stem, "dataset": "MMFS"}.get(path.parent.name) or of_file.get(path.stem, "FM")
    kind = ModelType.CONTEXT if model in ("FM", "xDeepFM") else ModelType.GENERAL
    values = read_mapping(path)
    schema_of(model, kind).check({option: Given(value, str(path)) for option, value in values.items()})
    if path.parent.name != "protocol":
        for option in values:
            assert re.search(rf"^{option}:.*# \(\w+(, .+)?\) .+", path.read_text(), re.MULTILINE), (
                f"{option} is not explained"
            )


def test_ranges_are_of_options_that_exist():
    known = set().union(*(schema_of(model).defaults for model in (*MODELS, *BASELINES)))
    assert set(RANGES) <= known


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("seed", "x", "a whole number"),
        ("seed", 1.0, "a whole number"),
        ("seed", True, "a whole number"),
        ("seed", None, "a whole number"),
        ("learning_rate", [0.1], "a number"),
        ("learning_rate", False, "a number"),
        ("show_progress", 1, "true or false"),
        ("checkpoint_dir", 3, "text"),
        ("load_col", ["inter"], "a mapping or ~"),
        ("modalities", {"text": 1}, "a list"),
        ("normalize_all", "yes", "true or false or ~"),
        ("topk", [1.5], "a whole number"),
        ("metrics", [1], "text"),
        ("learning_rate", 0, "> 0"),
        ("learning_rate", float("nan"), "> 0"),
        ("dropout_prob", 1.0, r"in \[0, 1\)"),
        ("rating_weight", -0.1, ">= 0"),
        ("learning_rate", 10**400, r"10000.*\.\.\., but must be a number below 2\^63"),
        ("topk", [10**5000], "but must be a number below"),
        ("eval_args", {"split": {"RS": [8, 1, 10**400]}}, "but must be a number below"),
        ("epochs", -1, ">= 0"),
        ("test_fold", 6, "from 1 to 5"),
        ("topk", [0], ">= 1"),
        ("learner", "adom", "Did you mean 'adam'"),
        ("split_by", "cold_items", "Did you mean 'cold_item'"),
        ("eval_args", {"grouped_by": "user"}, "Did you mean 'group_by'"),
        ("eval_args", {"split": {"RR": 1}}, "no part 'RR'"),
        ("eval_args", {"mode": "uni"}, "mode 'uni' is not"),
        ("eval_args", {"mode": {"valid": "ful"}}, "mode 'ful' is not"),
        ("eval_args", {"order": "to"}, "order 'to'"),
        ("train_neg_sample_args", {"sample": 1}, "Did you mean 'sample_num'"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(option: str, value: object, expected: str):
    with pytest.raises(InputError, match=expected) as caught:
        schema_of("MMASP").check({option: Given(value, "here")})
    assert str(caught.value).startswith(f"here: option '{option}")


@pytest.mark.parametrize(
    ("option", "value", "typed"),
    [
        ("learning_rate", 1, 1),
        ("topk", 5, [5]),
        ("metrics", "RMSE", ["RMSE"]),
        ("modalities", "text", ["text"]),
        ("gpu_id", 0, 0),
        ("gpu_id", "0,1", "0,1"),
        ("private_size", None, None),
        ("train_neg_sample_args", None, None),
        ("mlp_hidden_size", (64, 32), [64, 32]),
        ("data_path", Path("a") / "b", str(Path("a") / "b")),
    ],
)
def test_a_value_that_fits_is_taken(option: str, value: object, typed: object):
    schema = schema_of("DeepFM", ModelType.CONTEXT) if option == "mlp_hidden_size" else schema_of("MMASP")
    assert schema.check({option: Given(value, "here")}) == {option: typed}


def test_fractions_that_recbole_writes_as_whole_numbers_may_be_fractions():
    assert schema_of("GRU4RecCPR", ModelType.SEQUENTIAL).check({"dropout_prob": Given(0.5, "here")})


def test_kinds_tell_booleans_from_numbers():
    assert [kind_of(value) for value in (True, 1, 1.0, "", [], (), {}, None)] == (
        ["bool", "int", "number", "str", "list", "list", "dict", "none"]
    )


@pytest.mark.parametrize("option", ["load_col", "unload_col", "unused_col"])
def test_columns_written_as_text_are_refused_with_the_list_to_write(option):
    text = {option: {"inter": "user_id, item_id rating"}}
    with pytest.raises(
        InputError, match=rf"'{option}': 'inter' is the text .* write inter: \[user_id, item_id, rating\]"
    ):
        Config("BPR", "ml-100k-mm", config_dict=text)
    with pytest.raises(InputError, match="takes a list of names of fields"):
        Config("BPR", "ml-100k-mm", config_dict={option: {"inter": ["user_id", 1]}})
