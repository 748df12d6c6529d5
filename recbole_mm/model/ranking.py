"""The third task: which movies will a user rate at all? A dot product and a softmax over the catalogue.

Shapes: N movies, U users, R users of a step, a = ranking_size.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recbole_mm.data.profile import UserAverages
from recbole_mm.model.layers import Dropout, scale_gradient

# Content starts small beside what a movie's own ratings say. Chosen in a model of this task alone, where content at
# full size ranked worse on validation; within the multitask model the difference was in the noise.
CONTENT_SCALE = 0.2
RESIDUAL_SCALE = 0.1


@dataclass(frozen=True)
class RankedMovies:
    """Movies as the ranking task sees them.

    Attributes:
        rated: a(m), what a movie says about a user who rated it, [N, a].
        candidate: c(m), what a profile is compared with, [N, a].
        popularity: b(m), [N].
    """

    rated: Tensor
    candidate: Tensor
    popularity: Tensor


class RankingHead(nn.Module):
    """score(u, m) = Q(u) · c(m) + b(m),   Q(u) = W Σ_{L(u)} a(m) / √|L(u)| + V Σ_{D(u)} a(m) / √|D(u)|

    L(u) and D(u) are the movies u rated at or above the like threshold and below it. [a; c; b] is a linear map of
    the movie's fused representation plus, for a movie with training ratings, a learned residual. The root keeps what
    an average forgets: how much is known of a user (Koren, KDD 2008, for its form in SVD++).

    Args:
        movie_size: length of the representation of a movie that the models give.
        size: a.
        item_num: N.
        dropout: probability of dropping an element of Q(u).
        influence: factor of the task's gradient into the movies' representation. The head itself learns at the full
            rate. A large influence cost ratings of cold movies on validation, a small one genres of warm movies.
    """

    def __init__(self, movie_size: int, size: int, item_num: int, dropout: float, influence: float) -> None:
        super().__init__()
        self.sizes, self.influence = [size, size, 1], influence
        self.content = nn.Linear(movie_size, sum(self.sizes), bias=False)
        self.residual = nn.Parameter(torch.randn(item_num, sum(self.sizes)) * RESIDUAL_SCALE)
        self.liked, self.disliked = (nn.Linear(size, size, bias=False) for _ in range(2))
        for linear in (self.liked, self.disliked):
            nn.init.eye_(linear.weight)
        self.dropout = Dropout(dropout)

    def movies(self, representation: Tensor, trained: Tensor, known: Tensor) -> RankedMovies:
        """Movies as the task sees them.

        A movie that loses its identity in training does so as a candidate only, where cold movies are: in a profile
        there is none, and dropping there cost a fifteenth of NDCG@10 on validation.

        Args:
            representation: [N, movie_size].
            trained: movies with training ratings, which have a residual in profiles, bool [N].
            known: those of them that keep it as candidates, bool [N].
        """
        content = CONTENT_SCALE * self.content(scale_gradient(representation, self.influence))
        parts = zip(content.split(self.sizes, dim=1), self.residual.split(self.sizes, dim=1), (trained, known, known))
        rated, candidate, popularity = (torch.where(kept[:, None], part + own, part) for part, own, kept in parts)
        return RankedMovies(rated, candidate, popularity.squeeze(1))

    def learned(self, trained: Tensor, known: Tensor) -> Tensor:
        """The residual of a(m) at unit size over the trained movies, without gradient; zeros unless known; [N, a]."""
        residual = self.residual.detach()[:, : self.sizes[0]]
        scale = residual[trained].square().mean().sqrt().clamp_min(1e-6)
        return torch.where(known[:, None], residual / scale, 0.0)

    def queries(self, liked: Tensor, disliked: Tensor, counts: tuple[Tensor, Tensor]) -> Tensor:
        """Q of users, [R, a], from their sums of a(m) over liked and disliked movies [R, a] and how many [R]."""
        roots = (count[:, None].clamp_min(1).sqrt() for count in counts)
        return self.dropout(self.liked(liked / next(roots)) + self.disliked(disliked / next(roots)))

    def query_parts(self, liked: Tensor, disliked: Tensor) -> tuple[Tensor, Tensor]:
        """What each movie of one user adds to Q, in the shapes given. Q is linear in the movies: they sum to it.

        Args:
            liked, disliked: a(m) of the user's movies, [n, a] and [n', a].
        """
        both, sizes = torch.cat([liked, disliked]), [len(liked), len(disliked)]
        is_liked = (torch.arange(len(both), device=both.device) < len(liked)).to(both.dtype)[:, None]
        counts = tuple(both.new_full((len(both),), size) for size in sizes)
        return self.queries(both * is_liked, both * (1 - is_liked), counts).split(sizes)

    def queries_of_all(self, movies: RankedMovies, liked: UserAverages, disliked: UserAverages) -> Tensor:
        """Q of every user from all training movies, [U, a]."""
        return self.queries(
            liked.sums(movies.rated), disliked.sums(movies.rated), counts=(liked.counts, disliked.counts)
        )

    def loss(self, movies: RankedMovies, liked: Tensor, disliked: Tensor) -> Tensor:
        """Half of each user's movies predicts the other half: multinomial log-likelihood, mean over users.

        A movie that is predicted is not in the profile that predicts it. A user's sum over the n held movies is
        divided by √n, between a mean over users and one over ratings (Liang et al., WWW 2018, for the likelihood).

        Args:
            liked, disliked: movies of each set, 0/1 [R, N].
        """
        given = (torch.rand_like(liked) < 0.5).to(liked.dtype)
        liked_given, disliked_given = liked * given, disliked * given
        queries = self.queries(
            liked_given @ movies.rated,
            disliked_given @ movies.rated,
            counts=(liked_given.sum(dim=1), disliked_given.sum(dim=1)),
        )
        scores = (queries @ movies.candidate.T + movies.popularity).masked_fill(
            (liked_given + disliked_given) > 0, -torch.inf
        )
        held = (liked + disliked) * (1 - given)
        likelihood = torch.where(held > 0, F.log_softmax(scores, dim=1), 0.0).sum(dim=1)
        return -(likelihood / held.sum(dim=1).clamp_min(1).sqrt()).mean()
