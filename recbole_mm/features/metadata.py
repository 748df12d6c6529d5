"""A movie's metadata and keywords as names: ``director=wes craven``, ``country=france``, ``decade=1990``.

Genre is a target of the models, so a name that holds a word for a genre is left out ("war on drugs" as a whole: what a
mask would leave of it, "on drugs", still stands where "war" did).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from recbole_mm.features.genre_words import genre_pattern

# Kind of metadata -> a name or names; an unknown kind is simply absent. The first of a cast are the leads.
Metadata = Mapping[str, str | Sequence[str]]
FIRST_OF_CAST = 5
_COUNTRIES = {
    "usa": "united states of america",
    "united states": "united states of america",
    "us": "united states of america",
    "uk": "united kingdom",
}
_WORD = re.compile(r"(?u)\b\w\w+\b")


def metadata_names(metadata: Metadata, genres: Iterable[str] = ()) -> list[str]:
    """``kind=name`` for each name, once. Of a cast the first five; remarks in parentheses are no names.

    Args:
        metadata: e.g. director, cast, company, country, language, content rating, decade.
        genres: names of genres to leave out besides those of MovieLens.

    >>> metadata_names({"director": "Wes Craven", "country": ["USA"], "company": ["Horror Inc."], "decade": "1990"})
    ['director=wes craven', 'country=united states of america', 'decade=1990']
    """
    pattern, names = genre_pattern(genres), []
    for kind, given in metadata.items():
        of_kind = [name for name in map(_plain, [given] if isinstance(given, str) else given) if name]
        if kind == "cast":
            of_kind = [name for name in of_kind if not name.startswith("(")][:FIRST_OF_CAST]
        if kind == "country":
            of_kind = [_COUNTRIES.get(name, name) for name in of_kind]
        names += [f"{kind}={name}" for name in of_kind if not pattern.search(name)]
    return list(dict.fromkeys(names))


def decade_of(year: str) -> str:
    """'1990' for '1995'; '' for what is no year."""
    return f"{year[:3]}0" if re.fullmatch(r"(?:18|19|20)\d\d", year) else ""


def keyword_names(keywords: Iterable[str], genres: Iterable[str] = ()) -> list[str]:
    """Keywords, and the single words of those that have several.

    >>> keyword_names(["Drug dealer", "war on drugs"])
    ['drug dealer', 'drug', 'dealer']
    """
    pattern, names = genre_pattern(genres), []
    for keyword in map(_plain, keywords):
        if keyword and not pattern.search(keyword):
            words = words_of(keyword)
            names += [keyword, *(word for word in words if len(words) > 1 and not pattern.search(word))]
    return list(dict.fromkeys(names))


def words_of(text: str) -> list[str]:
    """Words of two or more letters or digits, in lower case."""
    return _WORD.findall(text.lower())


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()
