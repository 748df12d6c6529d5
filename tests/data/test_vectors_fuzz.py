"""Damaged vector files: each is read as a plain split of its lines reads it, or is an `InputError` naming the file."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import numpy as np
import pytest
from fuzzing import CASES, assert_says_what, damaged, run_cases
from hypothesis import strategies as st

from recbole_mm.data.vectors import read_vectors, write_vectors, write_vectors_npz
from recbole_mm.errors import InputError

IDS = [f"m{i}" for i in range(12)]
VALUES = np.random.default_rng(5).normal(size=(12, 4)).astype(np.float32)


@functools.cache
def base(form: str) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"x.text{form}")
        if form:
            write_vectors_npz(path, IDS, VALUES)
        else:
            write_vectors(path, "text", IDS, VALUES)
        return {path.name: path.read_bytes()}


def told(name: str, content: bytes) -> tuple[list[str], np.ndarray]:
    """The independent reader. An archive has checksums: what it still gives is what was written."""
    if name.endswith(".npz"):
        return IDS, VALUES
    _, *lines = content.decode("utf-8").replace("\r\n", "\n").split("\n")
    rows = [line.rstrip("\r").split("\t") for line in lines if line.strip()]
    return [row[0] for row in rows], np.array([row[1].split(" ") for row in rows], dtype=np.float64).astype(np.float32)


def check(files: dict[str, bytes]) -> bool:
    ((name, content),) = files.items()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, name).write_bytes(content)
        try:
            table = read_vectors(Path(folder), "x", "text")
        except InputError as error:
            assert_says_what(str(error), name)
            return False
    ids, values = told(name, content)
    assert table.item_ids.tolist() == ids
    np.testing.assert_array_equal(table.values, values)
    return True


DAMAGED = st.one_of(damaged(base("")), damaged(base(".npz")))


def test_damaged_vector_files_are_read_as_they_are_or_refused(tmp_path):
    run_cases("vector files", DAMAGED, check, 400, tmp_path)


@pytest.mark.slow
def test_many_damaged_vector_files_are_read_as_they_are_or_refused(tmp_path):
    run_cases("vector files", DAMAGED, check, CASES, tmp_path)


@pytest.mark.parametrize("form", ["", ".npz"])
def test_the_file_without_damage_is_read(form):
    assert check(base(form))
