"""Why a movie was recommended: which of the person's movies, and which modalities of the movie, raised its score.

The ranking task's score is linear in the person's movies (`recbole_mm.model.tasks.ranking`):

    score(u, m) = Σ_{L(u)} W a(m') · t(m) / √|L(u)| + Σ_{D(u)} V a(m') · t(m) / √|D(u)| + w Σ_{L, D} B_m'm + b(m)

so each movie's term is exactly its contribution. A modality goes through LeakyReLU, and without the ranking task the
score comes from an MLP. There the contribution is what the score loses when the part is left out. This is an
approximation: such differences need not sum to the score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from recbole_mm.inference.lookup import Movies
from recbole_mm.model import variants
from recbole_mm.model.recommender import MultitaskRecommender

EXACT, APPROXIMATION = "exact", "approximation"
RATINGS = "ratings"
"""Name, among the modalities, of the part that is learned from a movie's own training ratings."""


@dataclass(frozen=True)
class Explanation:
    """Why one movie has its score.

    Attributes:
        item_id, title: the movie.
        score, rating: as in the recommendation; rating is None if the model predicts none.
        movies: item_id, title, year, liked (bool) and contribution of each of the person's movies, largest first.
        popularity: b(m), the part of the score that is the same for everybody; None without the ranking task.
        movies_method: ``exact``: contributions and popularity sum to the score; ``approximation``: each contribution is
            what the score loses when the person's movie is left out.
        modalities: one row for each modality and, where the model has it, one called ``ratings``, for the part learned
            from the movie's training ratings. Columns: modality; present (whether the movie has it); difference and
            rating_difference (what score and unclipped rating lose when the movie lacks it; the second is NaN if the
            model predicts no ratings); share (of the sum of the absolute differences).
        modalities_method: always ``approximation``.
    """

    item_id: str
    title: str
    score: float
    rating: float | None
    movies: pd.DataFrame
    popularity: float | None
    movies_method: str
    modalities: pd.DataFrame
    modalities_method: str = APPROXIMATION

    def carriers(self, count: int = 2) -> pd.DataFrame:
        """The liked movies with the largest positive contributions to the score."""
        liked = self.movies[self.movies["liked"] & (self.movies["contribution"] > 0)]
        return liked.head(count).reset_index(drop=True)

    def strongest_modality(self) -> str | None:
        """The content modality without which the score would lose most; None if no modality raised it."""
        content = self.modalities[self.modalities["modality"] != RATINGS]
        best = content.sort_values("difference", ascending=False, kind="stable").head(1)
        return best["modality"].item() if len(best) and best["difference"].item() > 0 else None


@dataclass(frozen=True)
class Person:
    """Somebody whose recommendations are explained.

    Attributes:
        model: the model with the person among its users.
        user: the person's id in ``model``.
        liked, disliked: ids of the person's movies.
        without_person: the model without the person, for `variants.with_people`.
    """

    model: MultitaskRecommender
    user: int
    liked: list[int]
    disliked: list[int]
    without_person: MultitaskRecommender


@torch.no_grad()
def explain_each(
    person: Person, movies: Movies, items: np.ndarray, without: Mapping[str, MultitaskRecommender]
) -> list[Explanation]:
    """One `Explanation` for each movie.

    Args:
        movies: the catalogue.
        items: ids of the movies, [k].
        without: for each modality, the model in which all movies lack it; for ``ratings``, the model in which no movie
            has ratings.
    """
    model, ids = person.model, torch.from_numpy(items).to(person.model.catalogue.has_ratings.device)
    score, rating = _scores_and_ratings(model, person.user, ids)
    if "ranking" in model.tasks:
        contributions, popularity = model.task("ranking").contributions(
            model.encoded(), person.liked, person.disliked, ids
        )
    else:
        contributions, popularity = _left_out(person, ids), None
    modalities = _modalities(person, ids, score, rating, without)
    clipped = None if rating is None else rating.clamp(*model.task("rating").rating_scale.tolist())
    person_movies = movies.frame(np.array([*person.liked, *person.disliked], dtype=np.int64))
    person_movies["liked"] = np.arange(len(person_movies)) < len(person.liked)
    explanations = []
    for k, item in enumerate(items):
        of_movies = person_movies.assign(contribution=contributions[:, k].cpu().numpy())
        explanations.append(
            Explanation(
                item_id=movies.tokens[item],
                title=movies.titles[item],
                score=float(score[k]),
                rating=None if clipped is None else float(clipped[k]),
                movies=of_movies.sort_values("contribution", ascending=False, kind="stable", ignore_index=True),
                popularity=None if popularity is None else float(popularity[k]),
                movies_method=APPROXIMATION if popularity is None else EXACT,
                modalities=modalities[k],
            )
        )
    return explanations


def _scores_and_ratings(model: MultitaskRecommender, user: int, items: Tensor) -> tuple[Tensor, Tensor | None]:
    """Score and unclipped rating of one user's pairs with the movies, each [k]; no ratings without the task rating."""
    users = torch.full_like(items, user)
    score = model.predict({model.USER_ID: users, model.ITEM_ID: items})
    rating = model.task("rating").score(model.encoded(), users, items) if "rating" in model.tasks else None
    return score, rating


def _left_out(person: Person, items: Tensor) -> Tensor:
    """What the scores lose when one of the person's movies is left out, liked ones first, [n, k]."""
    likes, dislikes = person.liked, person.disliked
    number = len(likes) + len(dislikes)
    liked = [_without(likes, left) for left in likes] + [likes] * (len(dislikes) + 1)
    disliked = [dislikes] * len(likes) + [_without(dislikes, left) for left in dislikes] + [dislikes]
    people = variants.with_people(person.without_person, liked, disliked)
    users = torch.arange(number + 1, device=items.device).repeat_interleave(len(items))
    scores = people.predict({people.USER_ID: users, people.ITEM_ID: items.repeat(number + 1)}).view(number + 1, -1)
    return scores[-1] - scores[:-1]


def _without(movies: Sequence[int], left_out: int) -> list[int]:
    return [movie for movie in movies if movie != left_out]


def _modalities(
    person: Person, items: Tensor, score: Tensor, rating: Tensor | None, without: Mapping[str, MultitaskRecommender]
) -> list[pd.DataFrame]:
    """The table of modalities of each movie."""
    model, rows = person.model, []
    for name, other in without.items():
        less_score, less_rating = _scores_and_ratings(variants.with_candidates(model, other), person.user, items)
        present = model.catalogue.has_ratings if name == RATINGS else model.catalogue.field(name).present
        by_rating = torch.full_like(score, torch.nan) if rating is None else rating - less_rating
        rows.append((name, present[items], score - less_score, by_rating))
    tables = []
    for k in range(len(items)):
        table = pd.DataFrame(
            [(name, bool(present[k]), float(by[k]), float(by_rating[k])) for name, present, by, by_rating in rows],
            columns=["modality", "present", "difference", "rating_difference"],
        )
        total = table["difference"].abs().sum()
        tables.append(table.assign(share=table["difference"].abs() / total if total > 0 else 0.0))
    return tables
