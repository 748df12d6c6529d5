from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recbole_mm.errors import InputError
from recbole_mm.inference.lookup import Movies, Users, as_token


def movies(*rows: tuple) -> Movies:
    """A catalogue of (id, title, year)."""
    tokens, titles, years = zip(("[PAD]", "", None), *rows)
    as_objects = (np.array(column, dtype=object) for column in (tokens, titles))
    return Movies(*as_objects, pd.Series(years, dtype="Int64"))


CATALOGUE = movies(
    ("1", "Toy Story", 1995),
    ("12", "Usual Suspects, The", 1995),
    ("11", "Seven (Se7en)", 1995),
    ("274", "Sabrina", 1995),
    ("486", "Sabrina", 1954),
    ("300", "12", 2007),
    ("301", "1984", 1984),
    ("302", "Amélie", None),
    ("303", "Cité des enfants perdus, La", 1995),
    ("304", "Old Form (1971)", 1971),
)


@pytest.mark.parametrize(
    "asked, position",
    [
        ("1", 1),
        (1, 1),
        (np.int64(1), 1),
        (np.str_("1"), 1),
        ("Toy Story", 1),
        ("  toy   STORY ", 1),
        ("Toy Story (1995)", 1),
        ("The Usual Suspects", 2),
        ("Usual Suspects, The (1995)", 2),
        ("the usual suspects (1995)", 2),
        ("Seven", 3),
        ("Seven (1995)", 3),
        ("seven (SE7EN)", 3),
        ("Sabrina (1954)", 5),
        ("12", 2),  # an id comes before a title
        ("12 (2007)", 6),
        ("1984", 7),
        ("AME\u0301LIE", 8),  # in another Unicode form
        ("la cité des enfants perdus", 9),
        ("old form", 10),
        ("Old Form (1971)", 10),
    ],
)
def test_a_movie_by_id_or_title(asked, position):
    assert CATALOGUE.resolve(asked).tolist() == [position]


@pytest.mark.parametrize(
    "asked, message",
    [
        ("Toy Stroy", "movie 'Toy Stroy': neither an id nor a title of the catalogue. Did you mean 'Toy Story'"),
        ("the usual suspect", "Did you mean '[tT]he usual suspects'|Did you mean 'Usual Suspects, The'"),
        ("Sabrina", r"2 movies have this title; give the id of one: 274 \(Sabrina, 1995\), 486 \(Sabrina, 1954\)"),
        (1984, "movie 1984: the catalogue has no movie with this id"),  # a number is an id, never a title
        ("[PAD]", "neither an id nor a title"),
        ("", "neither an id nor a title"),
        (0, "no movie with this id"),
        (1.0, "movie 1.0: an id is text or a whole number"),
        (None, "movie None: an id is text"),
        (True, "movie True: an id is text"),
        (b"1", "movie b'1': an id is text"),
        (["1", ["12"]], r"movie \['12'\]: an id is text"),
    ],
)
def test_what_is_no_movie(asked, message):
    with pytest.raises(InputError, match=message):
        CATALOGUE.resolve(asked)


@pytest.mark.parametrize(
    "asked", [["1", 12], ("1", "The Usual Suspects"), np.array([1, 12]), pd.Series(["1", "12"]), pd.Index([1, 12])]
)
def test_several_movies_in_any_sequence(asked):
    assert CATALOGUE.resolve(asked).tolist() == [1, 2]
    assert CATALOGUE.resolve([]).tolist() == []
    assert CATALOGUE.frame(CATALOGUE.resolve(asked))["title"].tolist() == ["Toy Story", "Usual Suspects, The"]


def test_users_by_id():
    users = Users(["[PAD]", "1", "02", "ünï"])
    assert users.resolve([1, "02", "ünï", np.int32(1)]).tolist() == [1, 2, 3, 1]
    for wrong, message in (
        ("2", "user '2': the data set has no user"),
        ("[PAD]", "no user with this id"),
        ("uni", "user 'uni'"),
    ):
        with pytest.raises(InputError, match=message):
            users.resolve(wrong)
    with pytest.raises(InputError, match="user nan: an id is text"):
        users.resolve(float("nan"))


WILD = st.text(min_size=1, max_size=8) | st.integers(-(10**20), 10**20).map(str)


@given(st.lists(WILD, min_size=1, max_size=8, unique=True).filter(lambda ids: "[PAD]" not in ids))
def test_any_text_or_number_is_found_as_the_id_it_is(tokens):
    users, catalogue = Users(["[PAD]", *tokens]), movies(*((token, "one title", None) for token in tokens))
    assert users.resolve(tokens).tolist() == catalogue.resolve(tokens).tolist() == list(range(1, len(tokens) + 1))
    for i, token in enumerate(tokens, start=1):
        if token.lstrip("-").isdecimal() and str(int(token)) == token:
            assert users.resolve(int(token)).tolist() == catalogue.resolve(int(token)).tolist() == [i]


@given(
    st.lists(st.tuples(st.text(max_size=6), st.none() | st.integers(1, 3000)), min_size=1, max_size=8),
    st.text(max_size=8),
)
@example([("A", None), ("A", 1)], "A")
@example([("x, the", 1), ("the x", 2)], "the x")
@example([("ß", 1), ("SS", 2)], "ss")
def test_a_title_finds_its_movie_or_says_which_there_are(rows, other):
    """With any titles, duplicates too: what is found is called so, and what is not is an error of one line."""
    catalogue = movies(*((f"id-{i}", title, year) for i, (title, year) in enumerate(rows)))
    for asked in [other, *(title for title, _ in rows), *(f"{title} ({year})" for title, year in rows)]:
        called_so = [i for i, (title, _) in enumerate(rows) if Movies.key(title) == Movies.key(asked)]
        try:
            (position,) = catalogue.resolve(asked)
        except InputError as error:
            named = [i for i in called_so if f"id-{i}" in str(error)]
            position = None
        if position is None:
            assert len(called_so) != 1, "a title that one movie has finds it"
            assert named == called_so
        elif called_so:
            assert position - 1 in called_so


@given(st.one_of(st.floats(), st.none(), st.booleans(), st.binary(), st.tuples(st.integers())))
def test_nothing_else_is_an_id(value):
    with pytest.raises(InputError, match="an id is text or a whole number"):
        as_token(value, "movie")
