"""Building blocks of the three models: projections, fusion, heads and gradient reversal.

Shapes: N movies of the catalogue, B user-movie pairs, K modalities, d = embedding_size, G genres.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recbole_mm.features.components import fit_rotation


class PrincipalComponents(nn.Module):
    """Clips, standardises and rotates raw vectors to principal components, with statistics of training movies.

    Args:
        values: vectors of the training movies that have this modality, [n, dimension]; n may be 0.
        components: at most so many.
    """

    def __init__(self, values: Tensor, components: int) -> None:
        super().__init__()
        # Without a movie to learn from, one component that is 0.
        rotation = fit_rotation(values.numpy() if len(values) else np.zeros((1, values.shape[1])), components)
        for name, array in vars(rotation).items():
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(array, np.float32)))

    def forward(self, values: Tensor) -> Tensor:
        """Components [N, k] of vectors [N, dimension]."""
        return (values.clamp(self.low, self.high) - self.mean) / self.deviation @ self.loadings.T


class Standardizer(nn.Module):
    """Centres each column of one modality and divides the modality by one scale.

    The statistics come from training movies only and are buffers, so a checkpoint can encode a new movie. One
    scale for the modality, not one for each column: the columns are principal components, and giving the last
    of them the variance of the first would blow up noise.

    Args:
        values: vectors of the training movies that have this modality, [n, dimension]; n may be 0.
        dimension: length of one vector.
        components: for raw vectors, rotate them to at most so many principal components first.
    """

    def __init__(self, values: Tensor, dimension: int, components: int | None = None) -> None:
        super().__init__()
        self.dimension = dimension
        self.rotation = PrincipalComponents(values, components) if components else nn.Identity()
        values = self.rotation(values)
        mean, scale = torch.zeros(values.shape[1]), torch.ones(())
        if len(values):
            mean = values.mean(dim=0)
            scale = (values - mean).square().mean().sqrt().clamp_min(1e-6)
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def forward(self, values: Tensor) -> Tensor:
        """Standardised vectors of ``values`` [N, dimension]: the same shape, or [N, components]."""
        return (self.rotation(values) - self.mean) / self.scale


class Dropout(nn.Module):
    """Dropout whose mask comes from random bytes: seven times faster on a CPU than torch's Bernoulli draws.

    The probability is rounded to a multiple of 1/256 and kept elements are scaled by exactly its complement, so
    the expectation is unbiased.

    Args:
        probability: of dropping an element, in [0, 1).
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.kept = max(1, 256 - round(probability * 256))

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as ``x``."""
        if not self.training or self.kept == 256:
            return x
        if x.device.type != "cpu":
            return F.dropout(x, 1 - self.kept / 256)
        words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
        mask = (words.view(torch.uint8)[: x.numel()] < self.kept).view(x.shape)
        return x * mask.to(x.dtype).mul_(256 / self.kept)


class MovieIdentity(nn.Module):
    """h_id(m) = i_m for a movie with training ratings, one learned vector for all others; [N, id_size].

    What content cannot say about a movie its ratings can. In training a movie loses its identity with probability
    ``dropout``, so that content learns to do without it: a cold movie is predicted as a movie that has lost it
    (Volkovs, Yu and Poutanen, DropoutNet, NeurIPS 2017).

    Args:
        trained: movies with training ratings, bool [N].
        size: length of the vector.
        dropout: probability of losing the identity in a training step.
    """

    def __init__(self, trained: Tensor, size: int, dropout: float) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.randn(len(trained), size) * 0.1)
        self.unknown = nn.Parameter(torch.zeros(size))
        self.dropout = dropout
        self.register_buffer("trained", trained, persistent=False)

    def known(self) -> Tensor:
        """Movies that have their identity now, bool [N]; in training drawn anew at each call."""
        if not self.training or self.dropout == 0:
            return self.trained
        return self.trained & (torch.rand(len(self.trained), device=self.trained.device) >= self.dropout)

    def forward(self, known: Tensor) -> Tensor:
        """[N, id_size], given which movies have their identity, bool [N]."""
        return torch.where(known[:, None], self.vectors, self.unknown)


class ModalityFusion(nn.Module):
    """f = LeakyReLU(Dropout(concat_k h_k)),  h_k = p_k (W_k x_k + b_k) + (1 - p_k) e_k        (docs/models.md)

    A missing modality is replaced by the learned vector e_k of that modality, never by zeros. In the code h_k is one
    product, [p_k x_k, p_k, 1 - p_k] @ [W_k; b_k; e_k].

    Args:
        dimensions: vector length of each modality, in the order of concatenation.
        embedding_size: d, length of each projection.
        dropout: probability of dropping an element of the concatenation.
        modality_dropout: probability, in training, that a movie's vector of one modality counts as missing;
            it keeps the model usable with any subset of the modalities.
    """

    def __init__(
        self, dimensions: dict[str, int], embedding_size: int, dropout: float, modality_dropout: float
    ) -> None:
        super().__init__()
        self.projections = nn.ParameterDict()
        for name, dimension in dimensions.items():  # one by one: from a dict, torch takes them in alphabetical order
            self.projections[f"field_{name}"] = nn.Parameter(self._initial(dimension, embedding_size))
        self.dropout = Dropout(dropout)
        self.modality_dropout = modality_dropout
        self.output_size = embedding_size * len(dimensions)

    @staticmethod
    def _initial(dimension: int, size: int) -> Tensor:
        """[W; b; e], [dimension + 2, size]: W and b as in torch's linear layer, e zero."""
        bound = dimension**-0.5
        return torch.cat([torch.empty(dimension + 1, size).uniform_(-bound, bound), torch.zeros(1, size)])

    def forward(self, values: dict[str, Tensor], present: dict[str, Tensor], more: Sequence[Tensor] = ()) -> Tensor:
        """Fused movie input f, [N, K·d], wider by ``more``.

        Args:
            values: standardised vectors of each modality, [N, dimension].
            present: whether a movie has the modality, bool [N].
            more: what else is concatenated (the identity), [N, size] each.
        """
        parts = list(more)
        for key, projection in self.projections.items():
            name = key.removeprefix("field_")  # without it a field called "keys" would hide a method of the dict
            here = present[name]
            if self.training and self.modality_dropout > 0:
                here = here & (torch.rand(here.shape, device=here.device) >= self.modality_dropout)
            p = here.to(projection.dtype)[:, None]  # [N, 1]
            parts.append(torch.cat([values[name] * p, p, 1 - p], dim=1) @ projection)  # [N, d]
        return F.leaky_relu_(self.dropout(torch.cat(parts, dim=1)))


class RatingHead(nn.Module):
    """MLP[P; z; P⊙z] -> one number for each pair.

    The first layer is kept as three blocks (profile, movie, product), so that the same weights score B given
    pairs or, as one matrix computation, every movie of the catalogue for every user.

    Args:
        movie_size: length of z, which is also the length of a profile.
        hidden_size: units of the hidden layer.
        dropout: probability of dropping a hidden unit.
    """

    def __init__(self, movie_size: int, hidden_size: int, dropout: float) -> None:
        super().__init__()
        self.profile = nn.Linear(movie_size, hidden_size)
        self.movie = nn.Linear(movie_size, hidden_size, bias=False)
        self.product = nn.Linear(movie_size, hidden_size, bias=False)
        self.dropout = Dropout(dropout)
        self.output = nn.Linear(hidden_size, 1)

    def forward(self, profiles: Tensor, movies: Tensor) -> Tensor:
        """Score of each pair, [B], from profiles [B, m] and movies [B, m]."""
        hidden = self.profile(profiles) + self.movie(movies) + self.product(profiles * movies)
        return self.output(self.dropout(F.leaky_relu_(hidden))).squeeze(-1)

    @torch.no_grad()
    def score_catalogue(self, profiles: Tensor, movies: Tensor) -> Tensor:
        """Score of every movie for every user, [U, N], from profiles [U, m] and movies [N, m].

        For hidden unit j the product block is (P ⊙ w_j) zᵀ: H matrix products instead of U·N small ones.
        """
        by_user, by_movie = self.profile(profiles), self.movie(movies)  # [U, H], [N, H]
        scores = self.output.bias.detach().expand(len(profiles), len(movies)).clone()
        for unit, weight in enumerate(self.output.weight[0].tolist()):
            hidden = torch.addmm(by_movie[:, unit], profiles * self.product.weight[unit], movies.T)  # [U, N]
            hidden += by_user[:, unit, None]
            scores.add_(F.leaky_relu_(hidden), alpha=weight)
        return scores


class LinearGenres(nn.Module):
    """Genre logits straight from what a movie has: W [x_1; …; x_K; a] + b, with an L2 penalty of its own.

    x_k are the standardised vectors (zeros where missing) and a what the ranking task has learned of the movie beside
    its content (zeros where it has not), brought to unit size; no gradient goes into either. A few thousand movies
    are too few for encoders: they fit their genres by heart, which a linear map cannot.

    Args:
        vector_size: length of the vectors side by side.
        ranking_size: length of a; 0: the ranking task is not learned.
        genre_num: G.
    """

    # Of the mean cross-entropy, as in a logistic regression of 1,200 movies and 18 genres with C = 0.003.
    PENALTY = 0.008

    def __init__(self, vector_size: int, ranking_size: int, genre_num: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(vector_size + ranking_size, genre_num))
        self.bias = nn.Parameter(torch.zeros(genre_num))

    def forward(self, vectors: Tensor, ranking: Tensor | None) -> Tensor:
        """Logits [B, G] from vectors [B, vector_size] and a [B, ranking_size]."""
        inputs = vectors if ranking is None else torch.cat([vectors, ranking], dim=1)
        return torch.addmm(self.bias, inputs, self.weight)

    def penalty(self) -> Tensor:
        """PENALTY · ‖W‖², to be added to the loss."""
        return self.PENALTY * self.weight.square().sum()


class _ScaleGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, features: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return features.view_as(features)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.factor * gradient, None


def scale_gradient(features: Tensor, factor: float) -> Tensor:
    """Identity forwards; the gradient is multiplied by ``factor`` backwards."""
    return _ScaleGradient.apply(features, factor)


def reverse_gradient(features: Tensor, strength: float) -> Tensor:
    """Identity forwards; the gradient is multiplied by -strength backwards (Ganin and Lempitsky, ICML 2015)."""
    return scale_gradient(features, -strength)


class TaskDiscriminator(nn.Module):
    """D = softmax(W GRL_λ(norm(s))): were these movies drawn through ratings or uniformly from the catalogue?

    λ acts inside the reversal only, so the discriminator itself learns at the full rate. norm() brings every s to
    one length: without it the encoder escapes the discriminator by growing s without bound, and the tasks suffer.
    """

    def __init__(self, shared_size: int) -> None:
        super().__init__()
        self.output = nn.Linear(shared_size, 2)

    def forward(self, shared: Tensor, strength: float) -> Tensor:
        """Logits over the two draws, [B, 2], of shared representations [B, d]."""
        bounded = F.layer_norm(shared, shared.shape[1:])
        return self.output(reverse_gradient(bounded, strength))
