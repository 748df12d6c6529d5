"""The third task: which movies will a user rate at all? A dot product and a softmax over the catalogue.

Shapes: N movies, U users, R users of a step, a = ranking_size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from recbole_mm.data.user_sets import UserSets
from recbole_mm.model.layers import Dropout, scale_gradient
from recbole_mm.model.users import UserHistories

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
        content = self.content(scale_gradient(CONTENT_SCALE * representation, self.influence))
        size = self.sizes[0]
        kept = torch.cat([trained[:, None].expand(-1, size), known[:, None].expand(-1, size + 1)], dim=1)
        rated, candidate, popularity = torch.addcmul(content, self.residual, kept.to(content.dtype)).split(
            self.sizes, dim=1
        )
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

    def queries_of_all(self, movies: RankedMovies, liked: UserHistories, disliked: UserHistories) -> Tensor:
        """Q of every user from all training movies, [U, a]."""
        return self.queries(
            liked.sums(movies.rated), disliked.sums(movies.rated), counts=(liked.counts, disliked.counts)
        )

    def loss(self, movies: RankedMovies, liked: UserSets, disliked: UserSets) -> Tensor:
        """Half of each user's movies predicts the other half: multinomial log-likelihood, mean over users.

        A movie that is predicted is not in the profile that predicts it. A user's sum over the n held movies is
        divided by √n, between a mean over users and one over ratings (Liang et al., WWW 2018, for the likelihood).

        Args:
            liked, disliked: sets of the same R users.
        """
        movie_num = len(movies.rated)
        cells = [members.row * movie_num + members.movie for members in (liked, disliked)]
        # A bit for each cell, not for each pair: a movie rated twice, above and below the threshold, is in both sets.
        words = torch.empty(liked.user_num * movie_num // 64 + 1, dtype=torch.int64, device=movies.rated.device)
        words.random_(-(2**63), None)
        draws = [(words[cell >> 6] >> (cell & 63)) & 1 == 1 for cell in cells]
        given = [members.where(draw) for members, draw in zip((liked, disliked), draws)]
        queries = self.queries(
            *(members.sums(movies.rated) for members in given), counts=tuple(members.counts() for members in given)
        )
        scores = torch.addmm(movies.popularity, queries, movies.candidate.T)
        cells, drawn = torch.cat(cells), torch.cat(draws)
        return _HeldLikelihood.apply(scores, cells[drawn], cells[~drawn])


class EASE(nn.Module):
    """score(u, m) = Σ_i B_im over u's training movies i: what having rated one movie says of another, in closed form.

        B = I - P diag(P)⁻¹,   P = (XᵀX + λI)⁻¹          X: 0/1, who rated what

    Source: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019, equation 8. B is fitted on all
    training rows, so it has seen the half that the ranking loss holds out, and only predictions may use it. A movie
    without training ratings says nothing and is told nothing: its row and column are zero.

    B is not saved in a checkpoint: it is solved again from the training rows, in O(N³).

    Args:
        users, items: ids of the training rows, integer [n]; a pair may stand twice.
        user_num, item_num: sizes of the id spaces, [PAD] included.
    """

    # λ, the middle of what the paper found on its three data sets (200, 500, 1000). On validation 250 did as well.
    REGULARISATION = 500.0

    def __init__(self, users: np.ndarray, items: np.ndarray, user_num: int, item_num: int) -> None:
        super().__init__()
        rated = csr_matrix((np.ones(len(users), np.float32), (users, items)), shape=(user_num, item_num))
        rated.data[:] = 1.0  # a movie rated twice counts once
        gram = torch.from_numpy((rated.T @ rated).toarray())
        gram.diagonal().add_(self.REGULARISATION)
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(gram))
        weights = (inverse / -inverse.diagonal()).fill_diagonal_(0.0)
        # The inverse lies by columns, from which sums of rows take ten times longer.
        self.register_buffer("weights", weights.contiguous(), persistent=False)

    def forward(self, *sets: UserSets) -> Tensor:
        """Scores of all movies, [R, N], for R users of whom each of ``sets`` holds a part of their movies."""
        return sum(members.sums(self.weights) for members in sets)


class _HeldLikelihood(torch.autograd.Function):
    """Negative log-likelihood of the held movies, mean over users of the sum over a user's n held movies / √n.

    Loss and gradient come from one softmax, held in the matrix of the scores: a step is bound by memory, and
    autograd's own form goes over that matrix a dozen times.

    Args:
        scores: [R, N]; overwritten.
        given, held: positions in the flattened scores; what is given competes with nothing.
    """

    @staticmethod
    def forward(ctx, scores: Tensor, given: Tensor, held: Tensor) -> Tensor:
        users, movies = scores.shape
        scores = scores.float()
        flat = scores.view(-1)
        of_held = flat[held]
        flat[given] = -torch.inf
        normaliser = scores.logsumexp(dim=1, keepdim=True)
        row = held // movies
        counts = torch.bincount(row, minlength=users).to(scores.dtype)
        weights = counts.clamp_min(1).rsqrt() / users
        loss = (weights * counts) @ normaliser[:, 0] - weights[row] @ of_held
        scores.sub_(normaliser).exp_().mul_((weights * counts)[:, None])
        flat.index_add_(0, held, weights[row], alpha=-1)
        ctx.gradient = scores
        return loss

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        return ctx.gradient * gradient, None, None
