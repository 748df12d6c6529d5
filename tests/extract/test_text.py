"""Texts from csv files: genre words are gone, what is unusable is listed, what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_mm.errors import InputError
from recbole_mm.extract.text import genre_names, read_texts
from recbole_mm.features.genre_words import mask_genre_words


def write_csv(path: Path, rows: list[tuple[str, str]]) -> Path:
    pd.DataFrame(rows, columns=["item_id", "text"]).to_csv(path, index=False)
    return path


def test_genre_words_are_masked_and_counted(tmp_path):
    path = write_csv(tmp_path / "a.csv", [("1", "A horror film, a romantic one"), ("07", 'Of "mice", a biography')])
    sources, note = read_texts(path, genres=["Biography"])
    assert [(s.item_id, s.content) for s in sources.usable] == [("1", "A film, a one"), ("07", 'Of "mice", a')]
    assert note == "3 genre words masked in 2 of 2 texts"
    assert not sources.skipped


def test_what_cannot_be_used_is_listed(tmp_path):
    rows = [
        ("1", "One"),
        ("2", "  "),
        ("1", "Again"),
        ("", "No id"),
        ("a\tb", "A tab"),
        ("3", "Comedy, drama"),
        ("4", "x"),
    ]
    sources, _ = read_texts(write_csv(tmp_path / "a.csv", rows), genres=[])
    assert [s.item_id for s in sources.usable] == ["1", "3", "4"]
    assert [name for name, _ in sources.skipped] == [
        "row 2 (item '2')", "row 3 (item '1')", "row 4 (item '')", "row 5 (item 'a\tb')",
    ]  # fmt: skip
    assert [reason for _, reason in sources.skipped[:2]] == ["has no text", "item '1' has row 1 (item '1') already"]


def test_a_text_of_genre_words_alone_is_listed(tmp_path):
    sources, _ = read_texts(write_csv(tmp_path / "a.csv", [("1", "comedy"), ("2", "x")]), genres=[])
    assert sources.skipped == [("row 1 (item '1')", "has nothing but genre words")]


def test_the_fingerprint_is_that_of_the_masked_text(tmp_path):
    path = write_csv(tmp_path / "a.csv", [("1", "a war film"), ("2", "a film"), ("3", "a song")])
    first, same, other = read_texts(path, [])[0].usable
    assert first.fingerprint == same.fingerprint != other.fingerprint


# What Python 3.10 cannot write into a csv file, or not so that it can be read, is left out.
_WRITABLE = st.characters(exclude_categories=["Cs"], exclude_characters="\0\r")
_TEXTS = ["a comedy", "", "noir", "x, y", 'q"', "é\nz"]


@given(st.lists(st.tuples(st.text(_WRITABLE, max_size=5), st.sampled_from(_TEXTS))))
def test_any_rows_are_used_or_listed(tmp_path_factory, rows):
    path = write_csv(tmp_path_factory.mktemp("csv") / "a.csv", [("ok", "text"), *rows])
    sources, _ = read_texts(path, [])
    ids = [source.item_id for source in sources.usable]
    assert len(set(ids)) == len(ids) and len(ids) + len(sources.skipped) == len(rows) + 1
    assert all(source.content == mask_genre_words(source.content) != "" for source in sources.usable)


@pytest.mark.parametrize(
    "content, message",
    [
        (None, "no such file; it must be a csv file with the columns item_id, text"),
        (b"item_id,txt\n1,a\n", "no column 'text' in the header (item_id, txt). Did you mean 'txt'?"),
        (b"id,text\n1,a\n", "no column 'item_id'"),
        ("item_id,text\n1,Amélie\n".encode("latin1"), "byte 17 is not UTF-8; save the file as UTF-8"),
        (b"", "cannot be read as csv"),
        (b"item_id,text\n1,a\n2,b,c,d\n", "cannot be read as csv"),
        (b"item_id,text\n", "no row has both an item_id and a text"),
        (b"item_id,text\n1,\n", "no row has both an item_id and a text"),
    ],
)
def test_wrong_files_are_named(tmp_path, content, message):
    path = tmp_path / "movies.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as refused:
        read_texts(path, [])
    assert "movies.csv" in str(refused.value) and message in str(refused.value) and "\n" not in str(refused.value)


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfitem_id,text\n1,a\n")
    assert len(read_texts(tmp_path / "a.csv", [])[0].usable) == 1


def test_genres_of_an_item_file(tmp_path):
    path = tmp_path / "d.item"
    path.write_text("item_id:token\tclass:token_seq\n1\tSport Drama\n2\tSport\n")
    assert genre_names(path, "class") == ["Drama", "Sport"]
    with pytest.raises(InputError, match=r"d.item: no field 'genre' in the header \(item_id, class\)"):
        genre_names(path, "genre")
