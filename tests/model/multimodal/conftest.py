from __future__ import annotations

from pathlib import Path

import pytest
from ranker_contract import ItemGraphData


@pytest.fixture
def item_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ItemGraphData:
    """Data where the graph of the movies alone is right; the working directory is beside them."""
    monkeypatch.chdir(tmp_path)
    return ItemGraphData(tmp_path / "dataset")
