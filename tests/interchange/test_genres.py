"""Genres as people write them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_mm.data.labels import split_genres
from recbole_mm.errors import InputError
from recbole_mm.interchange.genres import count_line, genre_lists, written_genres


@pytest.mark.parametrize(
    ("values", "lists", "how"),
    [
        (["Action|Science Fiction", "Drama", ""], [["Action", "Science Fiction"], ["Drama"], []], "split at '|'"),
        (["Action, Science Fiction", "Drama", None], [["Action", "Science Fiction"], ["Drama"], []], "split at ','"),
        (["Action Drama", "War", np.nan], [["Action", "Drama"], ["War"], []], "split at spaces"),
        (["['Drama', \"Children's\"]", "[]"], [["Drama", "Children's"], []], "from lists"),
        ([["Drama", "War"], np.array(["War"]), None], [["Drama", "War"], ["War"], []], "from lists"),
        (["[{'id': 18, 'name': 'Drama'}]"], [["Drama"]], "from lists"),
    ],
)
def test_genres_are_found_as_they_are_written(values, lists, how):
    found, told = genre_lists(values, "items.csv: column 'genres'")
    assert found == lists and told.startswith(how)


def test_a_separator_that_is_asked_for():
    found, told = genre_lists(["Science Fiction", "Film Noir;War"], "m.csv", ";")
    assert found == [["Science Fiction"], ["Film Noir", "War"]] and "as asked" in told


@pytest.mark.parametrize("value", [7, {"a": 1}, "[1, 2]", "[a: b: c]"])
def test_what_is_no_genre_is_refused(value):
    with pytest.raises(InputError, match=r"m.csv: column 'genres'.*write Action\|Drama"):
        genre_lists([value], "m.csv: column 'genres'")


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=4), max_size=6))
def test_written_genres_are_read_back_as_they_were_written(genres):
    """Whatever the names hold, the .item file's reader splits the column as it was written."""
    written = [written_genres(one) for one in genres]
    assert split_genres(written, "x.item") == [text.split() for text in written]


def test_the_line_tells_the_counts():
    line = count_line(["Drama War", "Drama", ""], "split at '|'")
    assert line == "genres, split at '|': 2: Drama 2, War 1; 1 of 3 movies have none"
