"""Which movies two catalogues share, and which may be the same: one who is asked for new movies must not know them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches

import pandas as pd

from recbole_mm.inference.lookup import Movies, other_forms

_ARTICLES = frozenset(("the", "a", "an", "le", "la", "les", "l", "il", "el", "der", "die", "das"))
_BRACKETS = re.compile(r"\(([^()]*)\)")
_ALIKE = 0.85  # of difflib, between titles of different spelling
_YEARS_APART = 3  # of one movie: years of release differ between countries, and between lists


def matched(training: Movies, other: Movies) -> tuple[dict[int, str], list[int]]:
    """Movies that both catalogues have, and those that only ``other`` has.

    Movies are the same if they agree in title and year. One that may be a movie of ``training`` is in neither result:

    - it has the same title in another year, or without one;
    - or it is at most three years apart, and one title begins or ends with the other ("Star Wars: Episode IV", "Star
      Wars") or is spelled almost like it. Articles and signs do not count; the part before or after a colon, or in
      brackets, is a title too.

    Of several movies with the same title and year the first counts.

    Returns:
        Position in ``other`` -> id in ``training``; and positions in ``other``.
    """
    exact, loose = training.by_title
    known = {**loose, **exact}
    names = [_names(title) for title in training.titles]
    years: dict[int | None, list[int]] = {}
    for position in range(1, len(training)):
        years.setdefault(_year(training, position), []).append(position)
    whole = {_words(next(_forms(Movies.key(title)))) for title in training.titles[1:]} - {()}
    both: dict[int, str] = {}
    only: list[int] = []
    for position in range(1, len(other)):
        title, year = other.key(other.titles[position]), _year(other, position)
        forms = [title, *sorted(other_forms(title))]
        dated = [] if year is None else [f"{form} ({year})" for form in forms]
        if found := next((known[form] for form in dated if form in known), None):
            if training.tokens[found[0]] not in both.values():
                both[position] = training.tokens[found[0]]
            continue
        own = _names(other.titles[position])
        near = years if year is None else (*range(year - _YEARS_APART, year + _YEARS_APART + 1), None)
        of_near = {name for one in near for movie in years.get(one, []) for name in names[movie]}
        if (
            _words(next(_forms(title))) not in whole
            and not any(form in known for form in forms)
            and not _may_be_one(own, of_near)
        ):
            only.append(position)
    return both, only


def _may_be_one(names: set[tuple[str, ...]], others: set[tuple[str, ...]]) -> bool:
    """Whether a title begins or ends with another one, or is spelled almost like it."""
    for name in names:
        for other in others:
            short, long = sorted((name, other), key=len)
            if short in (long[: len(short)], long[-len(short) :]):
                return True
    written = [" ".join(other) for other in others]
    return any(get_close_matches(" ".join(name), written, n=1, cutoff=_ALIKE) for name in names)


def _names(title: str) -> set[tuple[str, ...]]:
    """The words of a title in each of its forms: whole, in brackets, outside of them, before and after a colon."""
    return {words for form in _forms(Movies.key(title)) if (words := _words(form))}


def _forms(title: str) -> Iterator[str]:
    outside = _BRACKETS.sub("", title)
    yield outside
    yield from outside.split(":")
    yield from _BRACKETS.findall(title)


def _words(text: str) -> tuple[str, ...]:
    spelled = re.sub("[&+]", " and ", text).replace("'", "").replace(".", "")
    return tuple(word for word in re.findall(r"\w+", spelled) if word not in _ARTICLES)


def _year(movies: Movies, position: int) -> int | None:
    year = movies.years[position]
    return None if pd.isna(year) else int(year)
