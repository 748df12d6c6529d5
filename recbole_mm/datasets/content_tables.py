"""Texts and metadata of movies in tables that a user brings: csv, tsv (also .gz) or parquet, with a row for each movie.

The columns of three kinds of files are recognised:

    by MovieLens id    movieId (or item_id); overview or text, wikipedia_extract; directors, cast, companies, countries,
                       original_language (or language), content_rating, keywords; several names in a cell are separated
                       by "|"
    TMDB's csv files   id (or movie_id, tmdbId) in place of movieId; keywords, production_companies,
                       production_countries, cast and crew as lists of objects with "name" (JSON or Python's form)
    by IMDb id         imdb_id (or imdbId, imdb_title_id) in place of movieId

TMDB and IMDb ids become MovieLens ids by MovieLens's links.csv. Cells are parsed, never evaluated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from recbole_mm.datasets.movie_content import MovieContent
from recbole_mm.datasets.raw_sources import read_table
from recbole_mm.datasets.source_files import SourceFile
from recbole_mm.errors import InputError
from recbole_mm.features.summaries import without_reception

LIST = "docs/mmtf-14k.md"
_IDS = {
    "movieId": ("movieid", "item_id"),
    "tmdbId": ("tmdbid", "tmdb_id", "movie_id", "id"),
    "imdbId": ("imdbid", "imdb_id", "imdb_title_id"),
}
_TEXTS = ("overview", "text", "summary", "synopsis", "plot")
_LEAD = "wikipedia_extract"
# Kind of metadata -> its columns, of which the first that is there is read.
_KINDS = {
    "director": ("directors", "director"),
    "cast": ("cast", "actors"),
    "company": ("companies", "production_companies"),
    "country": ("countries", "production_countries"),
    "language": ("original_language", "language"),
    "content rating": ("content_rating", "certification"),
}
_KEYWORDS = ("keywords", "plot_keywords")
_CREW = "crew"
_OBJECT = re.compile(r"\{[^{}]*\}")
_NAME, _JOB = (
    re.compile(rf"""['"]{key}['"]\s*:\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")""") for key in ("name", "job")
)


def read_contents(path: Path, links: SourceFile | None) -> dict[str, MovieContent]:
    """Texts and metadata by MovieLens id.

    Args:
        links: MovieLens's links.csv; needed for a file by TMDB or IMDb id.

    Raises:
        InputError: the file is missing, damaged, has no id or no content that is recognised, or needs links.csv.
    """
    table = _read(path)
    columns = {str(name).strip().lower(): name for name in table}
    ids = _movie_ids(path, table, columns, links)
    used = [name for names in (*_KINDS.values(), _TEXTS, _KEYWORDS, (_LEAD, _CREW)) for name in names]
    if not columns.keys() & set(used):
        raise InputError(
            f"{path}: no column with texts or metadata is recognised ({', '.join(map(str, table))[:200]}); {LIST} "
            f"lists the columns"
        )
    known = table.loc[ids != ""].rename(columns={name: key for key, name in columns.items()})
    contents: dict[str, MovieContent] = {}
    for movie, row in zip(ids[ids != ""], known.to_dict("records")):
        contents.setdefault(movie, _content(row))
    if not contents:
        raise InputError(f"{path}: none of its {len(table):,} rows belongs to a MovieLens movie; check the ids")
    return contents


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise InputError(f"{path}: no such file; it must be a csv, tsv or parquet file ({LIST})")
    if path.suffix.lower() in (".parquet", ".pq"):
        return _read_parquet(path)
    separator = "\t" if ".tsv" in path.suffixes or path.suffix == ".txt" else ","
    return read_table(path, (), LIST, separator)


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        raise InputError(
            f"{path}: parquet needs pyarrow, which is not installed; type: pip install 'recbole-mm[import]', or use csv"
        ) from None
    try:
        table = parquet.read_table(path).to_pandas()
    except Exception as error:  # pyarrow raises many types
        raise InputError(f"{path}: is no parquet file that can be read ({' '.join(str(error).split())})") from None
    if table.empty:
        raise InputError(f"{path}: has no rows")
    return table.map(_cell_text)


def _cell_text(cell) -> str:
    """A cell of a parquet file as a csv would have it; a list of names is joined by "|"."""
    if isinstance(cell, (list, tuple, np.ndarray)):
        return "|".join(str(part.get("name", "")) if isinstance(part, Mapping) else str(part) for part in cell)
    if cell is None or cell != cell:  # nan
        return ""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def _movie_ids(path: Path, table: pd.DataFrame, columns: Mapping[str, str], links: SourceFile | None) -> pd.Series:
    """MovieLens ids of the rows; '' where a row belongs to none."""
    for kind, names in _IDS.items():
        column = next((columns[name] for name in names if name in columns), None)
        if column is None:
            continue
        ids = table[column].str.strip().str.removeprefix("tt").str.replace(r"\.0+$", "", regex=True)
        ids = ids.where(ids.str.fullmatch(r"\d+"), "").str.lstrip("0")
        if kind == "movieId":
            return ids
        if links is None:
            raise InputError(
                f"{path}: has ids of {'TMDB' if kind == 'tmdbId' else 'IMDb'} (column '{column}'), and MovieLens's "
                f"links.csv, which translates them, is not in --ratings or --source; put it there"
            )
        bridge = read_table(links, ("movieId", kind), LIST)
        movie_of = dict(zip(bridge[kind].str.replace(r"\.0+$", "", regex=True).str.lstrip("0"), bridge["movieId"]))
        movie_of.pop("", None)
        return ids.map(movie_of).fillna("")
    shown = ", ".join(map(str, table))[:200]
    raise InputError(f"{path}: no column with ids (movieId, or an id of TMDB or IMDb) is recognised ({shown})")


def _content(row: Mapping[str, str]) -> MovieContent:
    def first(names: tuple[str, ...]) -> str:
        return next((row[name].strip() for name in names if row.get(name, "").strip()), "")

    metadata = {kind: names_in(first(names)) for kind, names in _KINDS.items()}
    if not metadata["director"]:
        metadata["director"] = [name for name, job in _objects(row.get(_CREW, "")) if job == "Director"]
    text = first(_TEXTS) or without_reception(row.get(_LEAD, ""))
    return MovieContent(text, {kind: names for kind, names in metadata.items() if names}, names_in(first(_KEYWORDS)))


def names_in(cell: str) -> list[str]:
    r"""Names in a cell: separated by "|", or a list of objects with "name".

    >>> names_in("heist|boat"), names_in('[{"id": 1, "name": "heist"}]'), names_in("[{'name': \"a'b\", 'id': 2}]")
    (['heist', 'boat'], ['heist'], ["a'b"])
    """
    if cell.lstrip().startswith("["):
        return [name for name, _ in _objects(cell)]
    return [name.strip() for name in cell.split("|") if name.strip()]


def _objects(cell: str) -> list[tuple[str, str]]:
    """Name and job ('' without one) of the objects in a list, as JSON or as Python writes it."""
    try:
        found = json.loads(cell) if cell else []
        parts = [part for part in found if isinstance(part, dict)] if isinstance(found, list) else []
        pairs = [(str(part.get("name", "")), str(part.get("job", ""))) for part in parts]
    except (ValueError, RecursionError):
        texts = _OBJECT.findall(cell)
        pairs = [(_value(_NAME, text), _value(_JOB, text)) for text in texts]
    return [(name.strip(), job) for name, job in pairs if name.strip()]


def _value(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return re.sub(r"\\(.)", r"\1", match[1] if match[1] is not None else match[2]) if match else ""
