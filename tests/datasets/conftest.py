from __future__ import annotations

from pathlib import Path

import pytest
from mmtf_files import movielens_files, release_files, write_folder


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "MMTF14K", release_files())


@pytest.fixture
def ratings(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "ml-20m", movielens_files())


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "dataset"
