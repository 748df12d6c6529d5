"""Columns read in one pass are those that pandas reads, to the last bit."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recbole_mm.compat import MISSING_NUMBERS
from recbole_mm.data import lines
from recbole_mm.data.columns import Reading, Tokens, frames_of, read_table
from recbole_mm.errors import InputError

FIELDS = {"user_id": "token", "part": "token", "rating": "float", "timestamp": "float"}
WORDS = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=30).filter(str.strip)
WORDS |= st.sampled_from(["NA", "null", '"', '"a""b"', "x" * 70, "12345678", "123456789", "12345678\u00e9", " a"])
NUMBERS = st.floats(width=64).map(repr) | st.integers().map(str) | st.sampled_from(list(MISSING_NUMBERS))
NUMBERS |= st.sampled_from(["-0", ".5", "5.", "+1", "1e3", " 4", "0.1", "123456789012345", "1234567890123456", "-.25"])
NUMBERS |= st.decimals(allow_nan=False, allow_infinity=False, places=4).map(str)


def reading(encoding: str = "utf-8") -> Reading:
    return Reading("\t", encoding, FIELDS, list(FIELDS), ["user_id"])


def written(path: Path, rows: list[tuple[str, ...]], encoding: str = "utf-8") -> Path:
    header = "\t".join(f"{name}:{kind}" for name, kind in FIELDS.items())
    text = "".join("\t".join(row) + "\n" for row in rows)
    path.write_text(f"{header}\n{text}", encoding=encoding, newline="")
    return path


def by_pandas(path: Path, encoding: str = "utf-8") -> pd.DataFrame:
    words = {name: kind == "token" for name, kind in FIELDS.items()}
    return pd.read_csv(
        path,
        sep="\t",
        encoding=encoding,
        names=list(FIELDS),
        header=0,
        dtype={name: str if word else np.float64 for name, word in words.items()},
        quoting=csv.QUOTE_NONE,
        keep_default_na=False,
        na_values={name: [""] if word else list(MISSING_NUMBERS) for name, word in words.items()},
        float_precision="round_trip",
        engine="c",
    )


def same(path: Path, encoding: str = "utf-8") -> None:
    expected = by_pandas(path, encoding)
    frame = frames_of({path: read_table(path, reading(encoding))})[str(path)](list(FIELDS))
    for name, kind in FIELDS.items():
        if kind == "float":
            found, wanted = frame[name].to_numpy(), expected[name].to_numpy()
            assert np.array_equal(np.isnan(found), np.isnan(wanted))
            known = ~np.isnan(wanted)
            assert found[known].tobytes() == wanted[known].tobytes()
        else:
            assert frame[name].astype(object).where(frame[name].notna(), None).tolist() == [
                word if isinstance(word, str) else None for word in expected[name]
            ]


@given(st.lists(st.tuples(WORDS, WORDS | st.just(""), NUMBERS, NUMBERS), min_size=1, max_size=12), st.integers(1, 200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_columns_are_those_of_pandas(tmp_path, monkeypatch, rows, block):
    monkeypatch.setattr(lines, "_BLOCK_BYTES", block)
    same(written(tmp_path / "x.inter", rows))


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "cp932", "iso2022_jp", "utf-7"])
def test_words_of_other_encodings(tmp_path, encoding):
    words = ["Am\u00e9lie", "\u00e9"] if encoding == "latin-1" else ["\u65e5\u672c", "\u672c", "\u30bd"]
    rows = [(word, other, "1", "2") for word in words for other in words[::-1]]
    path = written(tmp_path / "x.inter", rows, encoding)
    same(path, encoding)
    users = read_table(path, reading(encoding)).columns["user_id"]
    assert isinstance(users, Tokens) and users.tokens.tolist() == words


def test_a_column_with_a_text_that_is_no_number_is_absent(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "_BLOCK_BYTES", 8)
    path = written(tmp_path / "x.inter", [("a", "0", "1", "1"), ("b", "0", "good", "2"), ("c", "0", "3", "3")])
    assert list(read_table(path, reading()).columns) == ["user_id", "part", "timestamp"]
    path = written(tmp_path / "x.inter", [("a", "0", "good", "1"), ("", "0", "1", "2")])
    with pytest.raises(InputError, match="line 3: user_id is empty"):
        read_table(path, reading())


def test_files_of_one_data_set_share_their_categories(tmp_path):
    paths = [
        written(tmp_path / f"{part}.inter", [(user, part, "1", "2") for user in users])
        for part, users in (("train", "abca"), ("test", "cda"))
    ]
    frames = frames_of({path: read_table(path, reading()) for path in paths})
    together = pd.concat([frames[str(path)](list(FIELDS)) for path in paths], ignore_index=True)
    assert isinstance(together["user_id"].dtype, pd.CategoricalDtype)
    assert "".join(together["user_id"]) == "abcacda" and together["part"].tolist() == ["train"] * 4 + ["test"] * 3
