from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_mm.benchmark.same_movies import matched
from recbole_mm.inference.lookup import Movies


def movies(*rows: tuple[str, int | None]) -> Movies:
    """A catalogue; the id of a movie is its position, from 1."""
    titles, years = zip(("[PAD]", None), *rows)
    tokens = np.array([str(position) for position in range(len(titles))], object)
    return Movies(tokens, np.array(titles, object), pd.Series(years, dtype="Int64"))


TRAINED = movies(
    ("Seven (Se7en)", 1995),
    ("Usual Suspects, The", 1995),
    ("Hamlet", 1990),
    ("Star Wars", 1977),
    ("Star Trek: The Wrath of Khan", 1982),
    ("Romeo and Juliet", 1996),
    ("Bram Stoker's Dracula", 1992),
    ("Wrong Trousers, The", 1993),
    ("U.S. Marshalls", 1998),
    ("Grand Day Out, A", 1992),
)


@pytest.mark.parametrize(
    "title, year, same",
    [("The Usual Suspects", 1995, "2"), ("seven", 1995, "1"), ("Star Wars", 1977, "4"), ("Seven (SE7EN)", 1995, "1")],
)
def test_movies_of_one_title_and_year_are_the_same(title, year, same):
    assert matched(TRAINED, movies((title, year))) == ({1: same}, [])


@pytest.mark.parametrize(
    "title, year",
    [
        ("Se7en", 1995),
        ("Hamlet", 1996),
        ("Hamlet", 2000),
        ("Hamlet", None),
        ("Star Wars: Episode IV - A New Hope", 1977),
        ("Star Wars: Episode IV - A New Hope", None),
        ("Star Trek II: The Wrath of Khan", 1982),
        ("William Shakespeare's Romeo + Juliet", 1996),
        ("Romeo & Juliet", 1997),
        ("Dracula (Bram Stoker's Dracula)", 1992),
        ("Wallace & Gromit: The Wrong Trousers", 1993),
        ("US Marshals", 1998),
        ("Grand Day Out with Wallace and Gromit, A", 1989),
    ],
)
def test_a_movie_that_may_be_one_of_the_training_is_not_new(title, year):
    assert matched(TRAINED, movies((title, year))) == ({}, [])


@pytest.mark.parametrize(
    "title, year", [("Up", 2009), ("Star Wars: The Last Jedi", 2017), ("Heat", 1995), ("Dune", None)]
)
def test_other_movies_are_new(title, year):
    assert matched(TRAINED, movies((title, year))) == ({}, [1])


def test_of_two_with_one_title_and_year_the_first_counts():
    assert matched(TRAINED, movies(("Hamlet", 1990), ("Hamlet", 1990), ("Up", 2009))) == ({1: "3"}, [3])


@given(
    st.lists(st.tuples(st.text(max_size=12), st.one_of(st.none(), st.integers(1990, 1995))), min_size=1, max_size=12)
)
def test_any_titles_can_be_matched_and_a_movie_of_the_training_is_never_new(rows):
    both, only = matched(movies(*rows), movies(*rows))
    assert len(set(both.values())) == len(both) and both.keys().isdisjoint(only)
    assert not [position for position in only if rows[position - 1][0].strip()]
