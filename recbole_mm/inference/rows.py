"""Recommendations as plain values, for JSON and web pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from recbole_mm.inference.explain import Explanation
    from recbole_mm.inference.recommender import Recommender

CARRIERS = 2
"""A reason names at most this number of liked movies."""


def plain_rows(found: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table of a `Recommender` as dicts of plain values; an unknown year is None."""
    columns = {name: found[name].astype(object).where(found[name].notna(), None).tolist() for name in found}
    return [dict(zip(columns, values)) for values in zip(*columns.values())]


def recommendation_rows(
    recommender: Recommender, found: pd.DataFrame, reasons: list[Explanation | None]
) -> list[dict[str, Any]]:
    """One dict for each recommended movie.

    Args:
        found: table from `Recommender.recommend` or `Recommender.recommend_for`.
        reasons: one for each row of ``found``; None if the model gives no reasons.

    Returns:
        Dicts with rank, item_id, title, year, score, rating, genres, because, because_method and modality;
        ``recbole-mm recommend --help`` describes each of them.
    """
    genres = recommender.likely_genres(found["item_id"]) if recommender.predicts_genres else [[]] * len(found)
    rows = []
    for movie, likely, reason in zip(found.to_dict("records"), genres, reasons):
        carriers = [] if reason is None else reason.carriers(CARRIERS).to_dict("records")
        rows.append(
            {
                "rank": int(movie["rank"]),
                "item_id": movie["item_id"],
                "title": movie["title"],
                "year": None if pd.isna(movie["year"]) else int(movie["year"]),
                "score": float(movie["score"]),
                "rating": float(movie["rating"]) if "rating" in movie else None,
                "genres": [{"genre": genre, "probability": probability} for genre, probability in likely],
                "because": [{key: row[key] for key in ("item_id", "title", "contribution")} for row in carriers],
                "because_method": reason and reason.movies_method,
                "modality": reason and reason.strongest_modality(),
            }
        )
    return rows
