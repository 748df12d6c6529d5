"""Damaged yaml files of options: each is read as YAML's texts say, or is an `InputError` naming the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from fuzzing import CASES, WORDS, assert_says_what, damaged, run_cases

from recbole_mm.config.config import Config
from recbole_mm.errors import InputError

OPTIONS = b"""# of a run
model: MMASP
dataset: ml-100k-mm
protocol: u1
epochs: 12
learning_rate: 1e-3
weight_decay: 0.0001
tasks: [rating, genre]
modalities:
  - text
  - audio
topk: [5, 10]
eval_args: {mode: full}
rating_bias: true
gpu_id: ''
result_file: ~
"""
PIECES = (
    *WORDS,
    *(b": ", b"- ", b"{", b"}", b"]", b"&a ", b"*a", b"!!python/object:os.system ", b"? ", b"%", b"@"),
    *(b"1_0", b"yes", b"~"),
)


def check(files: dict[str, bytes]) -> bool:
    Path("own.yaml").write_bytes(files["own.yaml"])
    try:
        config = Config("MMASP", "ml-100k-mm", config_file_list=["own.yaml"])
    except InputError as error:
        # Options that contradict each other are named alone: which source is to blame cannot be said.
        assert_says_what(str(error), "own.yaml", "option '", "options '", "protocol '")
        return False
    texts = yaml.load(files["own.yaml"].decode("utf-8"), Loader=yaml.BaseLoader)
    if not isinstance(texts, dict):
        assert texts is None or is_told(None, texts), "a file without options says nothing"
        texts = {}
    assert set(texts) == set(config.given)
    for name, value in config.given.items():
        assert is_told(value, texts[name]), (name, value, texts[name])
    return True


def is_told(value: Any, text: Any) -> bool:
    """Whether a value is what a text of YAML says; the texts are read without any types."""
    if isinstance(value, dict):
        return (
            isinstance(text, dict)
            and {str(key) for key in value} == set(text)
            and all(is_told(inner, text[str(key)]) for key, inner in value.items())
        )
    if isinstance(value, list):
        given = text if isinstance(text, list) else [text]  # one word is a list of one
        return len(value) == len(given) and all(map(is_told, value, given))
    if value is None:
        return text in ("", "~", "null", "Null", "NULL", "None")
    if isinstance(value, bool):
        return text.lower() in (("true", "yes", "on") if value else ("false", "no", "off"))
    if isinstance(value, (int, float)):
        return float(text.replace("_", "")) == value
    return text == value


def test_damaged_yaml_is_read_as_it_is_or_refused(tmp_path):
    run_cases("yaml files", damaged({"own.yaml": OPTIONS}, PIECES), check, 250, tmp_path)


@pytest.mark.slow
def test_much_damaged_yaml_is_read_as_it_is_or_refused(tmp_path):
    run_cases("yaml files", damaged({"own.yaml": OPTIONS}, PIECES), check, CASES, tmp_path)


def test_the_file_without_damage_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert check({"own.yaml": OPTIONS})
