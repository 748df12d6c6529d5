"""How options are read: yaml values, command lines, files. Nothing is evaluated."""

from __future__ import annotations

import math
import string
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_mm.config.sources import given_options, parse_value, read_arguments, read_mapping, write_arguments
from recbole_mm.errors import InputError

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=6,
)
NAMES = st.text(string.ascii_letters + string.digits + "_", min_size=1)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        ("-.5", -0.5),
        ("3", 3),
        ("010", "010"),
        ("1:30", "1:30"),
        ("2020-01-01", "2020-01-01"),
        ("true", True),
        ("False", False),
        ("None", None),
        ("null", None),
        ("~", None),
        ("", ""),
        (" ", " "),
        ("[64, 32]", [64, 32]),
        ("['RMSE','MAE']", ["RMSE", "MAE"]),
        ("{'split': {'RS': [0.8, 0.1, 0.1]}, 'group_by': None}", {"split": {"RS": [0.8, 0.1, 0.1]}, "group_by": None}),
        ("[0,inf)", "[0,inf)"),
        ("0,1", "0,1"),
        ("a: b: c", "a: b: c"),
        ("__import__('os').system('touch pwned')", "__import__('os').system('touch pwned')"),
        ("!!python/object/apply:os.system ['touch pwned']", "!!python/object/apply:os.system ['touch pwned']"),
    ],
)
def test_values_of_the_command_line(text: str, value: object):
    parsed = parse_value(text)
    assert parsed == value
    assert type(parsed) is type(value)


def test_nothing_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for text in ("__import__('os').system('touch pwned')", "!!python/object/apply:os.system ['touch pwned']"):
        parse_value(text)
        given_options(config_dict={"seed": text}, arguments=[f"--seed={text}"])
    Path("bad.yaml").write_text("seed: !!python/object/apply:os.system ['touch pwned']\n")
    with pytest.raises(InputError, match=r"bad\.yaml: not valid YAML"):
        given_options(["bad.yaml"])
    assert not Path("pwned").exists()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_python_float_is_read_as_that_float(number: float):
    parsed = parse_value(repr(number))
    assert isinstance(parsed, float)
    assert parsed == number


@given(st.integers())
def test_every_integer_is_read_as_that_integer(number: int):
    assert parse_value(str(number)) == number


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=3))
def test_a_written_command_line_is_read_back(options: dict):
    expected = {key: _without_none_words(value) for key, value in options.items()}
    assert {key: one.value for key, one in read_arguments(write_arguments(options)).items()} == expected


def _without_none_words(value):
    """The word None is Python's null on a command line."""
    if value == "None":
        return None
    if isinstance(value, list):
        return [_without_none_words(item) for item in value]
    if isinstance(value, dict):
        return {_without_none_words(key): _without_none_words(item) for key, item in value.items()}
    return value


@given(NAMES, st.text())
def test_any_text_after_the_first_equals_sign_is_the_value(key: str, text: str):
    one = read_arguments([f"--{key}={text}"])[key]
    assert one.text == text
    parsed = one.value
    assert parsed is None or isinstance(parsed, (bool, int, float, str, list, dict))


@given(st.lists(st.text()))
def test_a_wild_command_line_is_read_or_refused_in_one_line(arguments: list[str]):
    try:
        read = read_arguments(arguments)
    except InputError as error:
        message = str(error)
    else:
        assert {f"--{key}={one.text}" for key, one in read.items()} == set(arguments)
        return
    assert message.startswith("command line: ")
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize("argument", ["seed=1", "--seed", "-seed=1", "--=1", "run", ""])
def test_an_argument_of_another_form_is_refused(argument: str):
    with pytest.raises(InputError, match="not of the form --option=value"):
        read_arguments(["--epochs=1", argument])


def test_the_value_keeps_further_equals_signs():
    assert read_arguments(["--a=b=c"])["a"].value == "b=c"


def test_one_key_with_two_values_is_refused_and_a_repetition_is_not():
    assert read_arguments(["--seed=1", "--seed=1"])["seed"].value == 1
    with pytest.raises(InputError, match="--seed is given twice"):
        read_arguments(["--seed=1", "--seed=2"])


def test_the_stronger_source_wins_and_is_named(tmp_path: Path):
    weak, strong = tmp_path / "weak.yaml", tmp_path / "strong.yaml"
    weak.write_text("seed: 1\nepochs: 1\ntopk: 1\nstate: INFO\n")
    strong.write_text("epochs: 2\ntopk: 2\nstate: DEBUG\n")
    options = given_options([weak, strong], {"topk": 3, "state": "ERROR"}, ["--state=WARNING"])
    assert {key: one.value for key, one in options.items()} == {"seed": 1, "epochs": 2, "topk": 3, "state": "WARNING"}
    assert [options[key].origin for key in ("seed", "epochs", "topk", "state")] == [
        str(weak),
        str(strong),
        "config_dict",
        "command line",
    ]


def test_config_files_of_the_command_line_are_read_last_and_found_under_properties(tmp_path: Path):
    for name, seed in (("a", 1), ("b", 2)):
        (tmp_path / f"{name}.yaml").write_text(f"seed: {seed}\n")
    options = given_options([tmp_path / "b.yaml"], None, [f"--config_files={tmp_path}/b.yaml {tmp_path}/a.yaml"])
    assert set(options) == {"seed"}
    assert options["seed"].value == 1
    shipped = given_options(arguments=["--config_files=protocol/u3.yaml"])
    assert shipped["test_fold"].value == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"- seed\n- 1\n", "not a mapping"),
        (b"seed\n", "not a mapping"),
        (b"1: 2\n", "not a mapping"),
        (b"seed: [1\n", "not valid YAML"),
        (b"seed: 1\n\tepochs: 2\n", "not valid YAML"),
        (b"? [a]\n: b\n", "not valid YAML"),
        (b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, content: bytes, message: str):
    path = tmp_path / "options.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"options.yaml: {message}") as caught:
        read_mapping(path)
    assert "\n" not in str(caught.value)


def test_an_empty_file_has_no_options(tmp_path: Path):
    path = tmp_path / "options.yaml"
    path.write_text("# nothing\n")
    assert read_mapping(path) == {}


def test_a_file_that_is_absent_is_refused():
    with pytest.raises(InputError, match=r"nowhere\.yaml: no such file"):
        given_options(["nowhere.yaml"])


def test_the_loaders_of_pyyaml_are_left_as_they_are():
    parse_value("1e-3")
    assert yaml.safe_load("1e-3") == "1e-3"
    assert math.isinf(parse_value(".inf"))
