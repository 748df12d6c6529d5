"""Tables of users' files: csv as csv writers write it, parquet, and what is wrong with them."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recbole_mm.errors import InputError
from recbole_mm.interchange.table_files import read_table

CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), max_size=10)


@given(
    st.lists(st.lists(CELL, min_size=3, max_size=3), min_size=1, max_size=8),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_what_a_csv_writer_writes_is_read_back(tmp_path, rows, separator, quoting):
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, quoting=quoting, lineterminator="\n")
    writer.writerows([["user", "item", "note"], *rows])
    path = tmp_path / ("t.tsv" if separator == "\t" else "t.csv")
    path.write_text(text.getvalue(), encoding="utf-8", newline="")
    table = read_table(path)
    assert table.frame.to_numpy().tolist() == rows
    for row, line in enumerate(table.lines):  # the line on which the row begins
        begins = text.getvalue().split("\n")[line - 1]
        assert begins.lstrip('"').startswith(rows[row][0].split("\n")[0].split('"')[0])


@given(st.binary(max_size=200))
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_any_bytes_are_a_table_or_one_error(tmp_path, content):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    refusal, rows = "", 0
    try:
        rows = len(read_table(path).frame)
    except InputError as error:
        refusal = str(error)
    assert rows or refusal.startswith(str(path))


def test_ids_stay_as_they_are_written(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("\ufeffuser,item,rating\n007,1.0,5\nNA,null,4\n\n1e3,x,3\n", encoding="utf-8")
    table = read_table(path)
    assert table.frame["user"].tolist() == ["007", "NA", "1e3"]
    assert table.frame["item"].tolist() == ["1.0", "null", "x"]
    assert table.place(2) == f"{path}: line 5"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"a,b\n1,2\n1,2,3\n", "line 3 has 3 columns, the header has 2; put quotation marks"),
        ("t.csv", b'a,b\n"x\ny",2\n1\n', "line 4 has 1 columns"),
        ("t.csv", b'a,b\n"x"y,2\n', "line 2: is not csv"),
        ("t.csv", b'a,b\n1,2\n"open,2\n', "line 3: is not csv"),
        ("t.csv", b"a,b\n", "has no row below the header"),
        ("t.csv", b"", "is empty"),
        ("t.csv", b"a,b\n\xff,1\n", "cannot be read as utf-8.*--encoding"),
        ("t.xlsx", b"a", "a table is a .csv"),
        ("t.pkl", b"a", "pickled Python objects can run code.*numpy.save"),
    ],
)
def test_wrong_files_name_line_and_remedy(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_table(tmp_path / name)


def test_another_encoding(tmp_path):
    (tmp_path / "t.csv").write_bytes("item,title\n1,Léon\n".encode("latin-1"))
    assert read_table(tmp_path / "t.csv", "latin-1").frame["title"].tolist() == ["Léon"]
    with pytest.raises(InputError, match="cannot be read as latin-7"):
        read_table(tmp_path / "t.csv", "latin-7x")


def test_parquet(tmp_path, monkeypatch):
    pytest.importorskip("pyarrow", reason="pyarrow (extra 'import') is not installed")
    frame = pd.DataFrame({"user": ["a", "b"], "item": [1, 2]})
    frame.to_parquet(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.parquet").frame, frame)
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(InputError, match="is no parquet file"):
        read_table(tmp_path / "bad.parquet")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    monkeypatch.delattr("pyarrow.parquet", raising=False)
    with pytest.raises(InputError, match=r"parquet needs pyarrow.*pip install 'recbole-mm\[import\]'"):
        read_table(Path(tmp_path / "t.parquet"))
