"""Folders of other tools: written as these tools write them, and real ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from peer_folders import Peers

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"


@pytest.fixture
def shared() -> Path:
    """Real files of others, which are not part of the project."""
    if not SHARED.is_dir():
        pytest.skip(f"no folder {SHARED}")
    return SHARED


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def peers(tmp_path) -> Peers:
    return Peers(tmp_path)
