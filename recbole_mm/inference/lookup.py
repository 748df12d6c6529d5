"""Users by id, movies by id or title, as a person would type them."""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recbole_mm.data.atomic import read_header
from recbole_mm.errors import InputError, nearest

_ARTICLE = re.compile(r"^(.*), (the|a|an|le|la|les|l'|il|el|der|die|das)$")
_IN_BRACKETS = re.compile(r"\s*\([^()]*\)")


def as_token(value: Any, kind: str) -> str:
    """An id as the atomic files have it: text, or a whole number in digits.

    Raises:
        InputError: anything else; also a float, which pandas makes of whole numbers in a column with missing ones.
    """
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Integral) and not isinstance(value, (bool, np.bool_)):
        return str(int(value))
    raise InputError(f"{kind} {value!r}: an id is text or a whole number; convert it, e.g. with str() or int()")


def one_or_many(values: Any) -> list:
    """A list of the values, or of the one value."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        return [values]
    return list(values)


class Users:
    """Ids of the users of a data set; internal id 0 is [PAD], not a user."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = np.asarray(tokens, dtype=object)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {token: i for i, token in enumerate(self.tokens.tolist()) if i}

    def __len__(self) -> int:
        """U, [PAD] included."""
        return len(self.tokens)

    def resolve(self, users: Any) -> np.ndarray:
        """Internal ids, int [n], of one user id or of several.

        Raises:
            InputError: no user has the id; the message names the nearest one.
        """
        tokens = [as_token(user, "user") for user in one_or_many(users)]
        for token in tokens:
            if len(self) == 1:
                raise InputError(
                    f"user '{token}': the model was saved without its users; give the movies that the person likes, or "
                    f"load a file with histories"
                )
            if token not in self._ids:
                raise InputError(f"user '{token}': the data set has no user with this id.{nearest(token, self._ids)}")
        return np.array([self._ids[token] for token in tokens], dtype=np.int64)


@dataclass(frozen=True)
class Movies:
    """Ids, titles and years of a catalogue; position 0 is [PAD] and no movie.

    Attributes:
        tokens: ids as in the atomic files, str [N].
        titles: str [N]; the id where a movie has no title.
        years: pandas Int64 [N]; missing where the year is unknown.
    """

    tokens: np.ndarray
    titles: np.ndarray
    years: pd.Series

    @classmethod
    def read(cls, tokens: Sequence[str], config) -> Movies:
        """Titles and years from <dataset>.item, options ``title_field`` and ``year_field``; without them, ids alone.

        The file's own text is read: RecBole's table of features keeps titles as words and for some models drops them.
        """
        tokens = np.asarray(tokens, dtype=object)
        id_field, title_field, year_field = (config[name] for name in ("ITEM_ID_FIELD", "title_field", "year_field"))
        path = Path(config["data_path"]) / f"{config['dataset']}.item"
        titles, years = tokens, pd.Series(pd.NA, index=range(len(tokens)), dtype="Int64")
        separator, encoding = config["field_separator"], config["encoding"] or "utf-8"
        fields = list(read_header(path, separator, encoding)) if path.is_file() else []
        if id_field in fields and {title_field, year_field} & set(fields):
            options = {"sep": separator, "dtype": str, "keep_default_na": False, "quoting": csv.QUOTE_NONE}
            table = pd.read_csv(path, encoding=encoding, names=fields, skiprows=1, **options)
            table = table.set_index(id_field).reindex(tokens)
            if title_field in fields:
                read = table[title_field].fillna("").str.strip().to_numpy(object)
                titles = np.where(read == "", tokens, read)
            if year_field in fields:
                years = _whole_years(table[year_field]).reset_index(drop=True)
        return cls(tokens, titles, years)

    def extended(self, tokens: Sequence[str], titles: Sequence[str], years: pd.Series) -> Movies:
        """These movies and more at the end."""
        return Movies(
            np.concatenate([self.tokens, np.asarray(tokens, dtype=object)]),
            np.concatenate([self.titles, np.asarray(titles, dtype=object)]),
            pd.concat([self.years, _whole_years(years)], ignore_index=True),
        )

    def __len__(self) -> int:
        """N, [PAD] included."""
        return len(self.tokens)

    def frame(self, items: np.ndarray) -> pd.DataFrame:
        """Columns item_id, title, year of movies given by internal id, [n] rows."""
        years = self.years.take(items).reset_index(drop=True)
        return pd.DataFrame({"item_id": self.tokens[items], "title": self.titles[items], "year": years})

    def resolve(self, movies: Any) -> np.ndarray:
        """Internal ids, int [n], of one movie or of several, each by id or by title, with or without "(year)".

        An id comes first: a text that is both the id of one movie and the title of another means the id. Case, spaces
        and the place of an article ("Usual Suspects, The") do not matter.

        Raises:
            InputError: neither an id nor a title, with the nearest title; or a title of several movies, with their ids.
        """
        return np.array([self._resolve_one(movie) for movie in one_or_many(movies)], dtype=np.int64)

    def _resolve_one(self, movie: Any) -> int:
        token = as_token(movie, "movie")
        if found := self._ids.get(token):
            return found
        if not isinstance(movie, str):
            raise InputError(f"movie {token}: the catalogue has no movie with this id.{nearest(token, self._ids)}")
        exact, loose = self.by_title
        key = self.key(movie)
        matches = exact.get(key) or loose.get(key) or []
        if len(matches) == 1:
            return matches[0]
        if matches:
            ways = ", ".join(f"{self.tokens[i]} ({self.titles[i]}, {_year(self.years[i])})" for i in matches)
            raise InputError(f"movie '{movie}': {len(matches)} movies have this title; give the id of one: {ways}")
        close = nearest(movie, self.titles[1:]) or nearest(key, [*exact, *loose])
        raise InputError(f"movie '{movie}': neither an id nor a title of the catalogue.{close}")

    @staticmethod
    def key(title: str) -> str:
        """A title without differences of case, spaces and Unicode form."""
        return " ".join(unicodedata.normalize("NFKC", title).casefold().split())

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {token: i for i, token in enumerate(self.tokens.tolist()) if i}

    @cached_property
    def by_title(self) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
        """Positions of movies by title, as it is and in its other forms; titles as `key` writes them."""
        exact: dict[str, list[int]] = {}
        loose: dict[str, list[int]] = {}
        for i in range(1, len(self)):
            title, year = self.key(self.titles[i]), _year(self.years[i])
            for key in {title, f"{title} ({year})"}:
                exact.setdefault(key, []).append(i)
            for other in other_forms(title):
                for key in {other, f"{other} ({year})"}:
                    loose.setdefault(key, []).append(i)
        return exact, loose


def other_forms(title: str) -> set[str]:
    """The title without text in brackets ("Seven (Se7en)"), and with the article in front."""
    forms = {title, _IN_BRACKETS.sub("", title)}
    forms |= {f"{found[2]} {found[1]}" for form in forms if (found := _ARTICLE.match(form))}
    return forms - {title, ""}


def _year(year: Any) -> str:
    return "year unknown" if pd.isna(year) else str(year)


def _whole_years(years: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(years, errors="coerce")
    return numbers.where((numbers == numbers.round()) & (numbers.abs() < 10_000)).astype("Int64")
