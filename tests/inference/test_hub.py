from __future__ import annotations

import json
import math
import os
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest
import yaml

from recbole_mm import load, run
from recbole_mm.cli.main import main
from recbole_mm.errors import InputError
from recbole_mm.inference.hub import read_result


@pytest.fixture
def result(planted):
    return run("MMFS", planted.name, config_dict=planted.options(epochs=2, result_file="out.json"))


@pytest.mark.parametrize("histories", [False, True])
def test_the_folder_has_the_model_its_options_and_a_card_with_the_numbers_of_the_run(result, histories, tmp_path):
    arguments = ["export", f"--checkpoint={result.checkpoint}", "--result_file=out.json", "--out=hub"]
    assert main([*arguments, *["--histories"] * histories]) == 0
    assert sorted(os.listdir("hub")) == ["README.md", "config.json", "model.safetensors"]
    card = Path("hub/README.md").read_text()
    _, facts, text = card.split("---\n", 2)
    (index,) = yaml.safe_load(facts)["model-index"]
    metrics = {one["type"]: one["value"] for one in index["results"][0]["metrics"]}
    assert metrics == {name: value for name, value in result.test.items() if not math.isnan(value)} and metrics
    for name, value in metrics.items():
        assert f"| {name} | {result.valid[name]:.4f} | {value:.4f} |" in text
    assert ("histories of 60 users" in text) == histories and ("nothing about any user" in text) != histories
    everything = card + Path("hub/config.json").read_text()
    assert str(tmp_path) not in everything and json.loads(Path("hub/config.json").read_text())["embedding_size"] == 8
    snippet = text.split("```python\n")[1].split("```")[0].replace("model.safetensors", "hub/model.safetensors")
    names: dict = {}
    exec(snippet, names)  # noqa: S102 - the card's own lines
    assert len(names["recommender"].users) == 60 * histories


def test_one_file(result):
    assert main(["export", f"--checkpoint={result.checkpoint}", "--out=models/model.safetensors"]) == 0
    assert os.listdir("models") == ["model.safetensors"]
    tables = [load(path).recommend_for("m4") for path in ("models/model.safetensors", result.checkpoint)]
    pd.testing.assert_frame_equal(*tables, rtol=1e-5)


def test_no_path_of_this_machine_is_in_the_file(result, tmp_path):
    main(["export", f"--checkpoint={result.checkpoint}", "--out=model.safetensors"])
    content = Path("model.safetensors").read_bytes()
    assert b"data_path" not in content and str(tmp_path).encode() not in content


def test_a_result_of_another_model_or_none_is_refused(result, capsys):
    given = asdict(result)
    for name, change, message in (
        ("model", {"model": "MMSP"}, "the result is of model MMSP, the model's is MMFS"),
        ("test", {"test": {"rmse": "1"}}, "'rmse' is missing or of another kind"),
        ("seed", {"seed": None}, "'seed' is missing or of another kind"),
    ):
        Path("other.json").write_text(json.dumps({**given, **change}))
        assert main(["export", f"--checkpoint={result.checkpoint}", "--result_file=other.json", "--out=hub"]) == 2, name
        assert message in capsys.readouterr().err
    for content in ("[]", "{", "[" * 100_000):
        Path("other.json").write_text(content)
        with pytest.raises(InputError, match="other.json: .*give the file that --result_file wrote"):
            read_result("other.json")
    with pytest.raises(InputError, match="none.json: cannot be read"):
        read_result("none.json")
    assert not Path("hub").exists()
