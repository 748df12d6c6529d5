from __future__ import annotations

from pathlib import Path

import pytest

from recbole_mm.data.vectors import write_vectors
from recbole_mm.errors import InputError
from recbole_mm.inference.load import load
from recbole_mm.training.session import run


def test_changed_ratings_or_vectors_are_refused(planted):
    checkpoint = run("MMFS", planted.name, config_dict=planted.options(epochs=1)).checkpoint
    write_vectors(planted.folder / "planted.text", "text", planted.tokens, planted.text + 0.01)
    with pytest.raises(InputError, match="trained on other ratings"):
        load(checkpoint)
    planted.write()
    write_vectors(planted.folder / "planted.text", "text", planted.tokens, planted.text)
    load(checkpoint)
    planted.ratings["rating:float"] = 6 - planted.ratings["rating:float"]
    planted.write()
    with pytest.raises(InputError, match="trained on other ratings"):
        run(arguments=[f"--evaluate={checkpoint}"])


def test_load_leaves_no_trace(planted, tmp_path, monkeypatch):
    checkpoint = Path(run("MMFS", planted.name, config_dict=planted.options(epochs=1)).checkpoint).resolve()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    load(checkpoint)
    assert not list(Path().iterdir())
