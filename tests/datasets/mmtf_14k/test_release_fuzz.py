"""Damaged releases: each is built as a plain split of its lines reads it, or is an `InputError` naming a file."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from fuzzing import CASES, assert_says_what, damaged, run_cases
from mmtf_files import AVF, IDS, IVECTOR, NAME, feature_file, movielens_files, release_files, write_folder

from recbole_mm.data.vectors import read_vectors
from recbole_mm.datasets.registry import prepare
from recbole_mm.errors import InputError

FEATURES = ("fold_1_gmm_128_tvDim_100.csv", "AVG - All.csv")
TABLES = ("movie_description.csv", "YearOfProd.csv", "GenreFeatures.csv", *FEATURES)


def base() -> dict[str, bytes]:
    """The files that the default of the build reads, with fewer columns of features."""
    files = {name: text for name, text in release_files().items() if name.endswith(TABLES)}
    for name in files:
        if name.endswith(FEATURES):
            files[name] = feature_file(6, len(name), IDS)
    return {name: text.encode("latin1") for name, text in files.items()} | movielens_files()


def cells(content: bytes) -> list[list[str]]:
    """The independent reader: rows by plain splitting; a cell may be in quotes, without commas.

    The first row is the header. Only old releases of ratings have none: they begin with a number.
    """
    lines = content.decode("latin1").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    rows = [line.split(",") for line in lines if line.strip()]
    rows = rows[not rows[0][0].isdigit() :]
    return [[cell.strip().removeprefix('"').removesuffix('"') for cell in row] for row in rows]


def check(files: dict[str, bytes]) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        source, out = write_folder(Path(folder, "source"), files), Path(folder, "out")
        try:
            built = prepare(NAME, out, source=source, ratings=source)
        except InputError as error:
            assert_says_what(str(error), *(Path(name).name for name in files), str(source))
            assert not list(out.glob("*/*")), "nothing half-built is left"
            return False
        lines = (built / f"{NAME}.inter").read_text("utf-8").splitlines()[1:]
        vectors = {field: read_vectors(built, NAME, field) for field in (IVECTOR, AVF)}
    rows = cells(files["ratings.csv"])
    movies = {line.split("\t")[1] for line in lines}
    told = sorted((*map(int, row[:2]), float(row[2]), int(row[3])) for row in rows if str(int(row[1])) in movies)
    found = [line.split("\t") for line in lines]
    assert sorted((int(u), int(m), float(rating), int(time)) for u, m, rating, time in found) == told
    for field, table in vectors.items():
        (name,) = (name for name in files if name.endswith(FEATURES[field == AVF]))
        first: dict[str, np.ndarray] = {}
        for row in cells(files[name]):
            first.setdefault(str(int(float(row[0]))), np.array(row[1:], dtype=np.float64).astype(np.float32))
        for movie, values in zip(table.item_ids.tolist(), table.values):
            np.testing.assert_array_equal(values, first[movie])
    return True


def test_damaged_releases_are_built_as_they_are_or_refused(tmp_path):
    run_cases("releases", damaged(base()), check, 120, tmp_path)


@pytest.mark.slow
def test_many_damaged_releases_are_built_as_they_are_or_refused(tmp_path):
    run_cases("releases", damaged(base()), check, CASES, tmp_path)


def test_the_release_without_damage_is_built():
    assert check(base())


def test_a_space_inside_a_number_is_no_number(tmp_path):
    """Found by the fuzzer: '0.38 7' was read as 0.387."""
    files = base()
    (name,) = (name for name in files if name.endswith(FEATURES[0]))
    files[name] = files[name].replace(b"0.387782", b"0.38 7782", 1)
    source = write_folder(tmp_path / "source", files)
    with pytest.raises(InputError, match=r"tvDim_100\.csv line 2: value 3 is '-0.38 7782', not a number"):
        prepare(NAME, tmp_path / "out", source=source, ratings=source)
