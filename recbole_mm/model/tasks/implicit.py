"""Who rated what, in both directions: what the mere fact that somebody rated a movie says of a rating."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recbole_mm.model.layers import Dropout
from recbole_mm.model.sharing import shared_copy, with_zero_rows, without_rows
from recbole_mm.model.users import UserHistories, Users

INITIAL_SCALE = 0.01


class ImplicitState(NamedTuple):
    """p of every user [U, a + 1] and q of every movie [N, a + 1], the linear part last; movies that have the term."""

    users: Tensor
    movies: Tensor
    has_term: Tensor


class TwoWayImplicit(nn.Module):
    """⟨p_u, q_m⟩ + l_u + l_m        a term of the predicted rating

        p_u = e_u + Σ_{n in N(u)} y_n / √|N(u)|        N(u): the movies that u rated in training
        q_m = i_m + Σ_{v in R(m)} x_v / √|R(m)|        R(m): the users who rated m in training

    and l_u, l_m likewise. A step needs q of nearly all movies, whatever its rows, so with many training rows R(m) is a
    part of the raters (`fewer_raters`).

    A movie without identity has no such term, in training as when it is cold: then content must
    do without it. In training a pair leaves both sums: y_m leaves p_u, x_u leaves q_m, and the counts are one less.

    Source: p_u is SVD++ (Koren, KDD 2008, equation 15); both directions as in the Bayesian factorization machines of
    Rendle, Zhang and Koren, "On the Difficulty of Evaluating Baselines", 2019.

    Args:
        users, items: ids of the training rows, integer [n].
        user_num, item_num: U and N.
        size: a.
        dropout: probability of dropping an element of p_u ⊙ q_m.
        most_pairs: pairs of a movie and a rater that are kept; 0: all.
    """

    def __init__(
        self,
        users: np.ndarray,
        items: np.ndarray,
        user_num: int,
        item_num: int,
        size: int,
        dropout: float,
        most_pairs: int = 0,
    ) -> None:
        super().__init__()
        self.history = UserHistories(users, items, user_num, item_num)
        self.raters = fewer_raters(self.history, most_pairs) if most_pairs else self.history

        # Drawn apart, so that the rest of the model starts from the same numbers with and without this term.
        generator = torch.Generator().manual_seed(torch.initial_seed())

        def table(rows: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(rows, size + 1, generator=generator) * INITIAL_SCALE)

        self.user, self.rater = table(user_num), table(user_num)  # e and x
        self.item, self.rated = table(item_num), table(item_num)  # i and y
        self.dropout = Dropout(dropout)

    def forward(self, users: Tensor, items: Tensor, has_identity: Tensor) -> Tensor:
        """The term of training pairs, each without itself, [B].

        Args:
            users, items: ids, [B].
            has_identity: bool [N].
        """
        own = self.history.contains(users, items).to(self.user.dtype)[:, None]
        p = _without(self.history.sums_of(self.rated, users), F.embedding(items, self.rated), own)
        p = F.embedding(users, self.user) + p / _root(self.history.counts[users][:, None] - own)
        if self.raters is not self.history:
            own = self.raters.contains(users, items).to(self.user.dtype)[:, None]
        q = _without(F.embedding(items, self.raters.sums_over_users(self.rater)), F.embedding(users, self.rater), own)
        q = F.embedding(items, self.item) + q / _root(self.raters.item_counts[items][:, None] - own)
        return _combine(p, q, self.dropout) * has_identity[items]

    def state(self, users: Users, has_identity: Tensor) -> ImplicitState:
        """p of ``users``, who need not be those of the training rows, and q of the movies."""
        sums = users.liked.sums(self.rated) + users.disliked.sums(self.rated)
        counts = (users.liked.counts + users.disliked.counts)[:, None]
        return ImplicitState(self.user + sums / _root(counts), self._movies(), has_identity)

    def _movies(self) -> Tensor:
        """q of every movie, [N, a + 1]."""
        return self.item + self.raters.sums_over_users(self.rater) / _root(self.raters.item_counts[:, None])

    def score(self, state: ImplicitState, users: Tensor, items: Tensor) -> Tensor:
        """The term of pairs, [B]."""
        return _combine(state.users[users], state.movies[items], self.dropout) * state.has_term[items]

    def score_catalogue(self, state: ImplicitState, users: Tensor) -> Tensor:
        """The term of every movie for each user, [R, N]."""
        p, q = state.users[users], state.movies
        return (p[:, :-1] @ q[:, :-1].T + p[:, -1:] + q[:, -1]) * state.has_term

    def with_movies(self, number: int) -> TwoWayImplicit:
        """The same over a catalogue with more movies at its end, which nobody has rated."""
        larger = shared_copy(self)
        larger.item, larger.rated = (with_zero_rows(table, number) for table in (self.item, self.rated))
        larger.history = self.history.with_catalogue(len(larger.item))
        larger.raters = larger.history
        if self.raters is not self.history:
            larger.raters = self.raters.with_catalogue(len(larger.item))
        return larger

    def with_people(self, number: int) -> TwoWayImplicit:
        """The same for other people: e_u is zero, N(u) is the movies they rate."""
        others = shared_copy(self)
        others.user = without_rows(self.user, number)
        return others

    def without_raters(self) -> TwoWayImplicit:
        """The same predictions without the training rows: what the users who rated m add to q_m is in i_m."""
        other = shared_copy(self)
        with torch.no_grad():
            other.item = nn.Parameter(self._movies(), requires_grad=False)
        other.rater = without_rows(self.rater, 1)
        other.history = UserHistories.of_people([[]], len(other.item)).to(other.item.device)
        other.raters = other.history
        return other


def fewer_raters(history: UserHistories, most: int) -> UserHistories:
    """The sets with at most k users of each movie, as if drawn, but the same ones each time and everywhere.

    k is the largest number with no more than ``most`` pairs in all, but at least 1. A history that has no more pairs is
    returned as it is.
    """
    if len(history.pairs) <= most:
        return history
    counts = history.item_counts.long().numpy()
    k = 1
    for step in 1 << np.arange(int(counts.max()).bit_length())[::-1]:
        if np.minimum(counts, k + step).sum() <= most:
            k += int(step)
    users = history.matrix_transposed.col_indices().numpy()  # of movie after movie
    order = _mixed(users + np.repeat(np.arange(len(counts)), counts) * len(history))
    kept = []
    for end, count in zip(counts.cumsum().tolist(), counts.tolist()):
        own = np.arange(end - count, end)
        kept.append(own if count <= k else own[np.argpartition(order[own], k)[:k]])
    items = np.repeat(np.arange(len(counts)), np.minimum(counts, k))
    return UserHistories(users[np.concatenate(kept)], items, len(history), history.item_num)


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """As good as random numbers, uint64 [n]: those of numpy's generators may change with its version.

    Source: the mixing function of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
    """
    mixed = numbers.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))


def _without(sums: Tensor, own_row: Tensor, own: Tensor) -> Tensor:
    return torch.addcmul(sums, own_row, own, value=-1)


def _root(counts: Tensor) -> Tensor:
    return counts.clamp_min(1).sqrt()


def _combine(p: Tensor, q: Tensor, dropout: Dropout) -> Tensor:
    return dropout(p[:, :-1] * q[:, :-1]).sum(dim=1) + p[:, -1] + q[:, -1]
