"""Why a movie was recommended: the movies of the person that carried it, and what each modality of the movie added.

The ranking task's score is linear in the person's movies (`recbole_mm.model.tasks.ranking.RankingHead`):

    score(u, m) = Σ_{L(u)} W a(m') · t(m) / √|L(u)| + Σ_{D(u)} V a(m') · t(m) / √|D(u)| + w Σ_{L, D} B_m'm + b(m)

so each movie's term is its contribution, exactly. A modality goes through LeakyReLU, and without the ranking task the
score comes from an MLP: there the contribution is what the score loses when the part is left out, an approximation,
since such differences need not sum to the score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from recbole_mm.errors import InputError
from recbole_mm.model import variants

if TYPE_CHECKING:
    from recbole_mm.inference.recommender import Recommender

EXACT, APPROXIMATION = "exact", "approximation"
RATINGS = "ratings"
"""Name, among the modalities, of what a movie's own training ratings taught beside its content."""


@dataclass(frozen=True)
class Explanation:
    """Why one movie has its score.

    Attributes:
        item_id, title: the movie.
        score, rating: as in the recommendation.
        movies: item_id, title, year, liked (bool) and contribution of each of the person's movies, largest first.
        popularity: b(m), the part of the score that is the same for everybody; None without the ranking task.
        movies_method: ``exact``: contributions and popularity sum to the score; ``approximation``: each contribution is
            what the score loses when the person's movie is left out.
        modalities: one row for each modality and, where the model has it, one called ``ratings``, for what the movie's
            training ratings taught. Columns: modality, present (whether the movie has it), difference and
            rating_difference (what score and unclipped rating lose when the movie lacks it) and share (of the sum of
            the absolute differences).
        modalities_method: always ``approximation``.
    """

    item_id: str
    title: str
    score: float
    rating: float
    movies: pd.DataFrame
    popularity: float | None
    movies_method: str
    modalities: pd.DataFrame
    modalities_method: str = APPROXIMATION

    def carriers(self, count: int = 2) -> pd.DataFrame:
        """The liked movies that carried the recommendation most: those of ``movies`` with the largest contributions."""
        liked = self.movies[self.movies["liked"] & (self.movies["contribution"] > 0)]
        return liked.head(count).reset_index(drop=True)

    def strongest_modality(self) -> str | None:
        """The modality of the movie's content without which the score would lose most; None if none added to it."""
        content = self.modalities[self.modalities["modality"] != RATINGS]
        best = content.sort_values("difference", ascending=False, kind="stable").head(1)
        return best["modality"].item() if len(best) and best["difference"].item() > 0 else None


def explain_each(
    recommender: Recommender, items: Any, user: Any = None, liked: Any = (), disliked: Any = ()
) -> list[Explanation]:
    """One `Explanation` for each movie, for a user of the data set or for a person given by movies.

    Raises:
        InputError: an unknown user or movie, a user and movies both, or a model that is not of this package.
    """
    recommender._only_ours("reasons")
    if user is not None and (len(np.atleast_1d(liked)) or len(np.atleast_1d(disliked))):
        raise InputError("explain: a user and liked or disliked movies; give one or the other")
    model, person, likes, dislikes = _person(recommender, user, liked, disliked)
    catalogue, ids = recommender._movies, recommender._movies.resolve(items)
    on_device = torch.from_numpy(ids).to(recommender._device)
    with torch.no_grad():
        score, rating = _judged(model, person, on_device)
        if model.ranks:
            contributions, popularity = _terms(model, likes, dislikes, on_device)
        else:
            contributions, popularity = _left_out(recommender._serving, likes, dislikes, on_device), None
        modalities = _modalities(recommender, model, person, on_device, score, rating)
    clipped = rating.clamp(*model.rating_scale.tolist())
    theirs = catalogue.frame(np.array([*likes, *dislikes], dtype=np.int64))
    theirs["liked"] = np.arange(len(theirs)) < len(likes)
    explanations = []
    for k, item in enumerate(ids):
        movies = theirs.assign(contribution=contributions[:, k].cpu().numpy())
        explanations.append(
            Explanation(
                item_id=catalogue.tokens[item],
                title=catalogue.titles[item],
                score=float(score[k]),
                rating=float(clipped[k]),
                movies=movies.sort_values("contribution", ascending=False, kind="stable", ignore_index=True),
                popularity=None if popularity is None else float(popularity[k]),
                movies_method=APPROXIMATION if popularity is None else EXACT,
                modalities=modalities[k],
            )
        )
    return explanations


def _person(recommender: Recommender, user: Any, liked: Any, disliked: Any) -> tuple[Any, int, list[int], list[int]]:
    """A model that has the person among its users, the person's id there, and the movies liked and disliked."""
    if user is None:
        likes, dislikes = recommender.person(liked, disliked)
        return variants.with_people(recommender._serving, [likes], [dislikes]), 0, likes, dislikes
    found = recommender._users.resolve(user)
    if len(found) != 1:
        raise InputError(f"explain: takes one user, not {len(found)}")
    model, person = recommender._serving, int(found[0])
    return model, person, model.liked.movies_of(person), model.disliked.movies_of(person)


def _judged(model, person: int, items: Tensor) -> tuple[Tensor, Tensor]:
    """Score and unclipped rating of the person's pairs with the movies, each [k]."""
    pairs = {model.USER_ID: torch.full_like(items, person), model.ITEM_ID: items}
    return model.predict(pairs), model._rating(pairs)


def _terms(model, likes: list[int], dislikes: list[int], items: Tensor) -> tuple[Tensor, Tensor]:
    """Each movie's term of the linear score, liked ones first, [n, k]; and b of the movies, [k]."""
    ranked = model._evaluation_state().ranked
    parts = model.ranking_head.query_parts(ranked.rated[likes], ranked.rated[dislikes])
    terms = torch.cat(parts) @ ranked.candidate[items].T
    if model.ease_weight:
        terms += model.ease_weight * model.ease.weights[[*likes, *dislikes]][:, items]
    return terms, ranked.popularity[items]


def _left_out(serving, likes: list[int], dislikes: list[int], items: Tensor) -> Tensor:
    """What the scores lose when one of the person's movies is left out, liked ones first, [n, k]."""
    count = len(likes) + len(dislikes)
    liked = [[m for m in likes if m != left] for left in likes] + [likes] * (len(dislikes) + 1)
    disliked = [dislikes] * len(likes) + [[m for m in dislikes if m != left] for left in dislikes] + [dislikes]
    people = variants.with_people(serving, liked, disliked)
    users = torch.arange(count + 1, device=items.device).repeat_interleave(len(items))
    scores = people.predict({people.USER_ID: users, people.ITEM_ID: items.repeat(count + 1)}).view(count + 1, -1)
    return scores[-1] - scores[:-1]


def _modalities(recommender, model, person: int, items: Tensor, score: Tensor, rating: Tensor) -> list[pd.DataFrame]:
    """The table of modalities of each movie."""
    rows = []
    for name, without in recommender._movies_without().items():
        less_score, less_rating = _judged(variants.with_candidates(model, without), person, items)
        present = model.trained if name == RATINGS else getattr(model, f"present_{name}")
        rows.append((name, present[items], score - less_score, rating - less_rating))
    tables = []
    for k in range(len(items)):
        table = pd.DataFrame(
            [(name, bool(present[k]), float(by[k]), float(by_rating[k])) for name, present, by, by_rating in rows],
            columns=["modality", "present", "difference", "rating_difference"],
        )
        total = table["difference"].abs().sum()
        tables.append(table.assign(share=table["difference"].abs() / total if total > 0 else 0.0))
    return tables
