"""Ranking: which movies will a user rate at all? A dot product and a softmax over the catalogue.

Shapes: N movies, U users, R users of a step, a = ranking_size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from recbole_mm.data.dataset import MultimodalDataset
from recbole_mm.data.user_sets import UserSets
from recbole_mm.evaluation.families import RANKING
from recbole_mm.model.catalogue import Catalogue
from recbole_mm.model.closed_form.ease import EASE
from recbole_mm.model.layers import Dropout, scale_gradient
from recbole_mm.model.sharing import shared_copy, with_zero_rows
from recbole_mm.model.tasks.base import Batch, EncodedCatalogue, Task
from recbole_mm.model.users import Users

# Content starts small compared with the residual, which comes from a movie's own ratings. Chosen in a model with this
# task only, where content at full size ranked worse on validation; in the multitask model the difference was noise.
CONTENT_SCALE = 0.2
RESIDUAL_SCALE = 0.1


@dataclass(frozen=True)
class RankedMovies:
    """Movies as the ranking task sees them.

    Attributes:
        rated: a(m), the vector that a rated movie adds to a profile, [N, a].
        candidate: c(m), the vector that a profile is compared with, [N, a].
        popularity: b(m), [N].
    """

    rated: Tensor
    candidate: Tensor
    popularity: Tensor


@dataclass(frozen=True)
class RankingState:
    """Vectors of the movies, Q of every user [U, a], and EASE's item-to-item weights, if they are used."""

    movies: RankedMovies
    queries: Tensor
    ease: EASE | None


class RankingTask(Task):
    """score(u, m) = Q(u) · c(m) + b(m) + w · EASE(u, m)

    The first two terms come from `RankingHead`. They learn by predicting one half of a user's movies from the other
    half, for users drawn at random. EASE is solved once from the training rows and the vectors and is in no loss; for a
    movie without training ratings it is a regression on content.

    Attributes:
        ease: None with ``ease_weight: 0``.
    """

    name, family, ranks = "ranking", RANKING, True

    batch_size: int
    ease: EASE | None

    def __init__(
        self, size: int, catalogue: Catalogue, dataset: MultimodalDataset, config, learned_size: int = 0
    ) -> None:
        super().__init__()
        self.batch_size = config["ranking_batch_size"]
        sizes = size, config["ranking_size"], len(catalogue)
        self.head = RankingHead(*sizes, config["ranking_dropout"], config["ranking_gradient_scale"])
        self.ease_weight: float = config["ease_weight"]
        self.ease = None
        if self.ease_weight:
            users, items = (dataset.inter_feat[field].numpy() for field in (dataset.uid_field, dataset.iid_field))
            content, has_ratings = catalogue.content(), catalogue.has_ratings
            self.ease = EASE(users, items, dataset.user_num, content, has_ratings, config["ease_content_weight"])

    @classmethod
    def weight(cls, config) -> float:
        return 1.0

    @classmethod
    def learned_size(cls, config) -> int:
        return config["ranking_size"]

    def losses(self, encoded: EncodedCatalogue, batch: Batch, drawn: Tensor | None) -> dict[str, Tensor]:
        users = encoded.users
        if not len(users.raters):
            return {}
        positions = torch.randint(len(users.raters), (self.batch_size,), device=users.raters.device)
        sample = users.raters[positions]
        return {self.name: self.head.loss(self._movies(encoded), users.liked.of(sample), users.disliked.of(sample))}

    def _movies(self, encoded: EncodedCatalogue) -> RankedMovies:
        representation = encoded.movies.of_task[self.name]
        return self.head.movies(representation, encoded.catalogue.has_ratings, encoded.has_identity)

    def learned(self, catalogue: Catalogue, has_identity: Tensor) -> Tensor:
        return self.head.learned(catalogue.has_ratings, has_identity)

    # ------------------------------------------------------------------ prediction

    def state(self, encoded: EncodedCatalogue) -> RankingState:
        movies = self._movies(encoded)
        return RankingState(movies, self.head.queries_of_all(movies, encoded.users), self.ease)

    def with_candidates(self, state: RankingState, other: RankingState) -> RankingState:
        return replace(other, queries=state.queries)

    def score(self, encoded: EncodedCatalogue, users: Tensor, items: Tensor) -> Tensor:
        """Score of each pair, [B]."""
        state: RankingState = encoded.states[self.name]
        scores = (state.queries[users] * state.movies.candidate[items]).sum(dim=1) + state.movies.popularity[items]
        if state.ease is not None:
            distinct, place = users.unique(return_inverse=True)
            scores = scores + self._ease_scores(encoded, state.ease, distinct)[place, items]
        return scores

    def score_catalogue(self, encoded: EncodedCatalogue, users: Tensor) -> Tensor:
        """`score` of every movie for each user, [R, N], as matrix products."""
        state: RankingState = encoded.states[self.name]
        scores = torch.addmm(state.movies.popularity, state.queries[users], state.movies.candidate.T)
        if state.ease is not None:
            scores += self._ease_scores(encoded, state.ease, users)
        return scores

    def _ease_scores(self, encoded: EncodedCatalogue, ease: EASE, users: Tensor) -> Tensor:
        return self.ease_weight * ease(encoded.users.liked.of(users), encoded.users.disliked.of(users))

    def contributions(
        self, encoded: EncodedCatalogue, liked: Sequence[int], disliked: Sequence[int], items: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What each movie of one person adds to the scores of ``items``, exactly: the score is linear in those movies.

        Args:
            liked, disliked: ids of all the person's movies.

        Returns:
            Contributions, liked movies first, [len(liked) + len(disliked), k], and the popularity of the items, [k].
            The sum over the first plus the second is `score`.
        """
        state: RankingState = encoded.states[self.name]
        parts = self.head.query_parts(state.movies.rated[list(liked)], state.movies.rated[list(disliked)])
        terms = torch.cat(parts) @ state.movies.candidate[items].T
        if state.ease is not None:
            terms += self.ease_weight * state.ease.weights[[*liked, *disliked]][:, items]
        return terms, state.movies.popularity[items]

    # ------------------------------------------------------------------ the same weights for others

    def with_catalogue(self, catalogue: Catalogue) -> RankingTask:
        other = shared_copy(self)
        more = len(catalogue) - len(self.head.residual)
        if more:
            other.head = shared_copy(self.head)
            other.head.residual = with_zero_rows(self.head.residual, more)
        if self.ease is not None:
            other.ease = self.ease.with_catalogue(catalogue.content(), catalogue.has_ratings)
        return other


class RankingHead(nn.Module):
    """score(u, m) = Q(u) · c(m) + b(m),   Q(u) = W Σ_{L(u)} a(m) / √|L(u)| + V Σ_{D(u)} a(m) / √|D(u)|

    L(u) and D(u) are the movies u rated at or above the like threshold and below it. [a; c; b] is a linear map of
    the movie's fused representation plus, for a movie with training ratings, a learned residual. An average
    would forget how many movies a user has rated; the root keeps it (Koren, KDD 2008, for its form in SVD++).

    Args:
        movie_size: length of the representation of a movie that the models give.
        size: a.
        item_num: N.
        dropout: probability of dropping an element of Q(u).
        gradient_scale: factor of the task's gradient into the movies' representation. The head itself learns at the
            full rate. A large factor cost ratings of cold movies on validation, a small one genres of warm movies.
    """

    def __init__(self, movie_size: int, size: int, item_num: int, dropout: float, gradient_scale: float) -> None:
        super().__init__()
        self.sizes, self.gradient_scale = [size, size, 1], gradient_scale
        self.content = nn.Linear(movie_size, sum(self.sizes), bias=False)
        self.residual = nn.Parameter(torch.randn(item_num, sum(self.sizes)) * RESIDUAL_SCALE)
        self.liked, self.disliked = (nn.Linear(size, size, bias=False) for _ in range(2))
        for linear in (self.liked, self.disliked):
            nn.init.eye_(linear.weight)
        self.dropout = Dropout(dropout)

    def movies(self, representation: Tensor, has_ratings: Tensor, has_identity: Tensor) -> RankedMovies:
        """Movies as the task sees them.

        In training a movie loses its identity as a candidate only, because cold movies are candidates only. A profile
        has no cold movie; dropping identities there too cost a fifteenth of NDCG@10 on validation.

        Args:
            representation: [N, movie_size].
            has_ratings: movies with training ratings, which have a residual in profiles, bool [N].
            has_identity: the movies among them that keep it as candidates, bool [N].
        """
        content = self.content(scale_gradient(CONTENT_SCALE * representation, self.gradient_scale))
        size = self.sizes[0]
        kept = torch.cat([has_ratings[:, None].expand(-1, size), has_identity[:, None].expand(-1, size + 1)], dim=1)
        rated, candidate, popularity = torch.addcmul(content, self.residual, kept.to(content.dtype)).split(
            self.sizes, dim=1
        )
        return RankedMovies(rated, candidate, popularity.squeeze(1))

    def learned(self, has_ratings: Tensor, has_identity: Tensor) -> Tensor:
        """The residual of a(m), scaled to unit size over the movies with ratings, [N, a]; no gradient.

        It is zero for a movie without identity.
        """
        residual = self.residual.detach()[:, : self.sizes[0]]
        scale = residual[has_ratings].square().mean().sqrt().clamp_min(1e-6)
        return torch.where(has_identity[:, None], residual / scale, 0.0)

    def queries(self, liked: Tensor, disliked: Tensor, counts: tuple[Tensor, Tensor]) -> Tensor:
        """Q of users, [R, a], from sums of a(m) over liked and disliked movies [R, a] and their numbers [R]."""
        roots = (count[:, None].clamp_min(1).sqrt() for count in counts)
        return self.dropout(self.liked(liked / next(roots)) + self.disliked(disliked / next(roots)))

    def query_parts(self, liked: Tensor, disliked: Tensor) -> tuple[Tensor, Tensor]:
        """What each movie of one user adds to Q, [n, a] and [n', a]. Q is linear in the movies and is the sum of both.

        Args:
            liked, disliked: a(m) of the user's movies, [n, a] and [n', a].
        """
        both, sizes = torch.cat([liked, disliked]), [len(liked), len(disliked)]
        is_liked = (torch.arange(len(both), device=both.device) < len(liked)).to(both.dtype)[:, None]
        counts = both.new_full((len(both),), len(liked)), both.new_full((len(both),), len(disliked))
        of_liked, of_disliked = self.queries(both * is_liked, both * (1 - is_liked), counts).split(sizes)
        return of_liked, of_disliked

    def queries_of_all(self, movies: RankedMovies, users: Users) -> Tensor:
        """Q of every user from all training movies, [U, a]."""
        liked, disliked = users.liked, users.disliked
        return self.queries(
            liked.sums(movies.rated), disliked.sums(movies.rated), counts=(liked.counts, disliked.counts)
        )

    def loss(self, movies: RankedMovies, liked: UserSets, disliked: UserSets) -> Tensor:
        """Half of each user's movies predicts the other half: multinomial log-likelihood, mean over users.

        A movie that is predicted is not in the profile that predicts it. A user's sum over the n target movies is
        divided by √n, a weight between a mean over users and a mean over ratings (Liang et al., WWW 2018, for the
        likelihood).

        Args:
            liked, disliked: sets of the same R users.
        """
        movie_num = len(movies.rated)
        cells = [sets.row * movie_num + sets.movie for sets in (liked, disliked)]
        # A random bit for each cell, not for each pair: a movie rated above and below the threshold is in both sets.
        words = torch.empty(liked.user_num * movie_num // 64 + 1, dtype=torch.int64, device=movies.rated.device)
        words.random_(-(2**63), None)
        draws = [(words[cell >> 6] >> (cell & 63)) & 1 == 1 for cell in cells]
        given_liked, given_disliked = (sets.where(draw) for sets, draw in zip((liked, disliked), draws))
        queries = self.queries(
            given_liked.sums(movies.rated),
            given_disliked.sums(movies.rated),
            counts=(given_liked.counts(), given_disliked.counts()),
        )
        scores = torch.addmm(movies.popularity, queries, movies.candidate.T)
        cells, drawn = torch.cat(cells), torch.cat(draws)
        return _TargetLikelihood.apply(scores, cells[drawn], cells[~drawn])


class _TargetLikelihood(torch.autograd.Function):
    """Negative log-likelihood of the target movies, mean over users of the sum over a user's n targets / √n.

    Loss and gradient come from one softmax, stored in the matrix of the scores: memory limits the speed of a step, and
    autograd would go over that matrix a dozen times.

    Args:
        scores: [R, N]; overwritten.
        given, target: positions in the flattened scores. Given movies are left out of the softmax.
    """

    @staticmethod
    def forward(ctx, scores: Tensor, given: Tensor, target: Tensor) -> Tensor:
        users, movies = scores.shape
        scores = scores.float()
        flat = scores.view(-1)
        of_target = flat[target]
        flat[given] = -torch.inf
        normaliser = scores.logsumexp(dim=1, keepdim=True)
        row = target // movies
        counts = torch.bincount(row, minlength=users).to(scores.dtype)
        weights = counts.clamp_min(1).rsqrt() / users
        loss = (weights * counts) @ normaliser[:, 0] - weights[row] @ of_target
        scores.sub_(normaliser).exp_().mul_((weights * counts)[:, None])
        flat.index_add_(0, target, weights[row], alpha=-1)
        ctx.gradient = scores
        return loss

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        return ctx.gradient * gradient, None, None
