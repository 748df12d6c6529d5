from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recbole_mm.data.vector_stream import streaming_npz
from recbole_mm.data.vectors import read_vectors, write_vectors_npz


def test_streamed_blocks_are_the_file_of_all_rows(tmp_path: Path) -> None:
    ids = [f"m{i}" for i in range(70)]
    values = np.random.default_rng(0).normal(size=(70, 5))
    with streaming_npz(tmp_path / "d.x.npz") as stream:
        for start in range(0, 70, 32):
            stream.append(ids[start : start + 32], values[start : start + 32])
        assert stream.shape == (70, 5)
    write_vectors_npz(tmp_path / "d.y.npz", ids, values)
    streamed, whole = (read_vectors(tmp_path, "d", field) for field in "xy")
    assert streamed.item_ids.tolist() == whole.item_ids.tolist() == ids
    assert streamed.values.dtype == np.float32
    np.testing.assert_array_equal(streamed.values, whole.values)


def test_no_row_or_an_error_leaves_no_file(tmp_path: Path) -> None:
    with streaming_npz(tmp_path / "d.x.npz"):
        pass

    def write(second: np.ndarray) -> None:
        with streaming_npz(tmp_path / "d.x.npz") as stream:
            stream.append(["a"], np.ones((1, 2)))
            stream.append(["b"], second)

    with pytest.raises(ValueError, match="after rows of 2"):
        write(np.ones((1, 3)))
    with pytest.raises(TypeError):
        write(None)
    assert list(tmp_path.iterdir()) == []
