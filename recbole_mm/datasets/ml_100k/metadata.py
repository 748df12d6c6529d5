"""Metadata of MovieLens-100K movies: people, countries, languages, rating board, year.

The knowledge graph comes with the recbole wheel (Freebase triples, KB4Rec). Its ``.link`` file has **MovieLens-20M**
ids, although it belongs to ml-100k.item. Read as ml-100k ids, they turn Star Wars into Event Horizon. So a table of
ids translates them.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from recbole_mm.datasets.ml_100k.recbole_wheel import read_items, read_wheel

RELATIONS = (
    "film.film.directed_by",
    "film.film.actor",
    "film.film.written_by",
    "film.film.country",
    "film.film.language",
    "film.film.rating",
)
# Relations whose number of triples is a fact about a movie.
COUNTED_RELATIONS = (
    *("film.film.actor", "film.film.directed_by", "film.film.written_by", "film.film.produced_by"),
    *("film.film.cinematography", "film.film.production_companies", "film.film.country", "film.film.language"),
    *("film.film.rating", "film.film.subjects", "film.film.award_nomination", "film.film.award_won"),
)
GENRE_RELATION = "film.film.genre"  # the target of the genre task: read to exclude its entities, or for an ablation


def movie_facts(ml_20m_ids: pd.Series) -> tuple[list[str], np.ndarray]:
    """Numbers of a movie's credits of each kind, award nominations and awards, and its age.

    Only the number of awards is used: an award's name can name the genre (best science fiction film).

    Returns:
        item ids [n] of the movies with any triple, in the order of the .item file, and values float64
        [n, len(COUNTED_RELATIONS) + 3]: log(1 + number) of each relation, year, its square and years before 1985.
    """
    links, triples = read_wheel("link").set_index("item_id")["entity_id"], read_wheel("kg")
    triples = triples[triples["relation_id"].isin(COUNTED_RELATIONS)]
    numbers = pd.crosstab(triples["head_id"], triples["relation_id"]).reindex(columns=COUNTED_RELATIONS, fill_value=0)
    items = read_items().set_index("item_id")
    entity_of = ml_20m_ids.map(links).dropna()
    entity_of = entity_of[entity_of.isin(numbers.index)].reindex(items.index).dropna()

    year = pd.to_numeric(items["release_year"], errors="coerce")[entity_of.index]
    age = ((year - 1985) / 15).fillna(0.0).to_numpy()
    values = np.column_stack([np.log1p(numbers.loc[entity_of].to_numpy()), age, age**2, np.minimum(age, 0)])
    return entity_of.index.tolist(), values


def movie_entities(ml_20m_ids: pd.Series, with_genres: bool = False) -> dict[str, list[str]]:
    """Item id -> ``relation=entity`` names of its triples, its year and decade. Movies without triples are left out.

    An entity that is a genre anywhere in the graph is left out of all relations ("silent film" is also a language).
    """
    links, triples = read_wheel("link").set_index("item_id")["entity_id"], read_wheel("kg")
    genres = set(triples.loc[triples["relation_id"] == GENRE_RELATION, "tail_id"])
    wanted = triples["relation_id"].isin(RELATIONS) & ~triples["tail_id"].isin(genres)
    if with_genres:
        wanted |= triples["relation_id"] == GENRE_RELATION
    triples = triples[wanted]
    names_of = (triples["relation_id"] + "=" + triples["tail_id"]).groupby(triples["head_id"]).agg(sorted).to_dict()

    entity_of = ml_20m_ids.map(links).dropna().to_dict()
    entities = {}
    for item_id, year in read_items().set_index("item_id")["release_year"].items():
        if names := names_of.get(entity_of.get(item_id)):
            entities[item_id] = names + ([f"year={year}", f"decade={year[:3]}0"] if year.isdigit() else [])
    return entities
