"""A movie's metadata as names: ``director=wes craven``, ``country=france``, ``decade=1990``.

Genre is a target of the models, so a name that holds a word for a genre is left out ("war on drugs" as a whole: what a
mask would leave of it, "on drugs", still stands where "war" did).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from recbole_mm.features.encoders import words_of
from recbole_mm.features.genre_words import genre_pattern

FIRST_OF_CAST = 5
_COUNTRIES = {
    "usa": "united states of america",
    "united states": "united states of america",
    "us": "united states of america",
    "uk": "united kingdom",
}


@dataclass(frozen=True)
class Metadata:
    """What is said about a movie besides its plot; '' and () where nothing is known. ``cast`` begins with the leads."""

    directors: Sequence[str] = ()
    cast: Sequence[str] = ()
    companies: Sequence[str] = ()
    countries: Sequence[str] = ()
    language: str = ""
    content_rating: str = ""
    keywords: Sequence[str] = field(default=())

    @property
    def is_empty(self) -> bool:
        """Whether nothing but keywords is known."""
        return not any((self.directors, self.cast, self.companies, self.countries, self.language, self.content_rating))


def metadata_names(metadata: Metadata, year: str = "", genres: Iterable[str] = ()) -> list[str]:
    """``kind=name`` of directors, the first five of the cast, companies, countries, language, content rating, decade.

    Args:
        year: of release; '' or text that is no year if unknown.
        genres: names of genres to leave out besides those of MovieLens.

    >>> metadata_names(Metadata(directors=["Wes Craven"], countries=["USA"], companies=["Horror Inc."]), "1995")
    ['director=wes craven', 'country=united states of america', 'decade=1990']
    """
    of_kind = {
        "director": metadata.directors,
        "cast": [name for name in metadata.cast if not name.strip().startswith("(")][:FIRST_OF_CAST],
        "company": metadata.companies,
        "country": [_COUNTRIES.get(_plain(name), name) for name in metadata.countries],
        "language": [metadata.language],
        "content rating": [metadata.content_rating],
        "decade": [f"{year[:3]}0"] if re.fullmatch(r"(?:18|19|20)\d\d", year) else [],
    }
    return named(of_kind, genres)


def named(of_kind: Mapping[str, Iterable[str]], genres: Iterable[str] = ()) -> list[str]:
    """``kind=name`` of the names of each kind, each once, without names that hold a word for a genre."""
    pattern = genre_pattern(genres)
    names = [(kind, _plain(name)) for kind, given in of_kind.items() for name in given]
    return list(dict.fromkeys(f"{kind}={name}" for kind, name in names if name and not pattern.search(name)))


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


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()
