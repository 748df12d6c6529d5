"""The movies of a data set: their vectors, which movies have vectors and training ratings, and the fused input.

Shapes: N movies ([PAD] included), K modalities, d = embedding_size.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recbole_mm.data.modality import Modality
from recbole_mm.errors import InputError, nearest
from recbole_mm.model.content import ContentVectors
from recbole_mm.model.layers import Dropout, Standardizer
from recbole_mm.model.sharing import shared_copy, with_zero_rows


class Catalogue(nn.Module):
    """f = LeakyReLU(Dropout(concat(h_id, h_1, …, h_K)))        the fused input of every movie, [N, fused_size]

    The only owner of the data of the movies before they are encoded. Random draws of training are made here:
    `draw_identity` says which movies keep their identity in a step, `fuse` drops vectors and elements.

    Args:
        modalities: raw vectors by name, in the order of concatenation. Without any, a movie has only its identity.
        has_ratings: movies with training ratings, bool [N]. Mean and scale come from their vectors only.
        config: ``embedding_size``, ``pca_components``, ``dropout_prob``, ``modality_dropout``, ``id_size`` and
            ``id_dropout``.

    Attributes:
        modalities: names of the modalities.
        fused_size: length of f.
        identity: None with ``id_size: 0``.

    Raises:
        InputError: neither a modality nor an identity.
    """

    has_ratings: Tensor

    def __init__(self, modalities: Mapping[str, Modality], has_ratings: Tensor, config) -> None:
        super().__init__()
        size, id_size = config["embedding_size"], config["id_size"]
        if not modalities and not id_size:
            raise InputError("options 'modalities' and 'id_size': a movie has neither vectors nor an identity; set one")
        self.register_buffer("has_ratings", has_ratings, persistent=False)
        self.modalities = list(modalities)
        # A list beside the names: a name like "keys" cannot be an entry of a ModuleDict.
        self._fields = nn.ModuleList(
            ModalityField(modality, has_ratings, size, config["pca_components"]) for modality in modalities.values()
        )
        self.identity = MovieIdentity(len(has_ratings), id_size, config["id_dropout"]) if id_size else None
        self.dropout = Dropout(config["dropout_prob"])
        self.modality_dropout: float = config["modality_dropout"]
        self.fused_size = size * len(self.modalities) + id_size

    def __len__(self) -> int:
        """Number of movies N."""
        return len(self.has_ratings)

    def field(self, name: str) -> ModalityField:
        """The vectors of one modality."""
        return self.fields()[name]

    def fields(self) -> dict[str, ModalityField]:
        """The vectors of every modality, by name."""
        return dict(zip(self.modalities, cast("Iterable[ModalityField]", self._fields)))

    # ------------------------------------------------------------------ the fused input

    def draw_identity(self) -> Tensor:
        """Which movies have their identity in this step, bool [N]: random in training, `has_ratings` otherwise."""
        if self.identity is None or not self.training:
            return self.has_ratings
        return self.identity.draw(self.has_ratings)

    def fuse(self, has_identity: Tensor) -> Tensor:
        """f of every movie, [N, fused_size].

        Args:
            has_identity: bool [N], from `draw_identity`.
        """
        parts = [] if self.identity is None else [self.identity(has_identity)]
        dropout = self.modality_dropout if self.training else 0.0
        parts += [field(dropout) for field in self._fields]
        return F.leaky_relu_(self.dropout(torch.cat(parts, dim=1)))

    @property
    def vector_size(self) -> int:
        """Length of the standardised vectors of all modalities side by side."""
        return sum(field.vectors.shape[1] for field in self.fields().values())

    def vectors_of(self, items: Tensor) -> Tensor:
        """Standardised vectors of movies side by side, zeros where one is missing, [B, vector_size]."""
        parts = [field.vectors[items] * field.present[items, None] for field in self.fields().values()]
        return torch.cat(parts, dim=1) if parts else self.has_ratings.new_zeros(len(items), 0, dtype=torch.float32)

    def content(self) -> tuple[ContentVectors, ...]:
        """Standardised vectors of every modality."""
        return tuple(ContentVectors(field.vectors, field.present) for field in self.fields().values())

    # ------------------------------------------------------------------ other catalogues with the same weights

    def with_movies(self, vectors: Mapping[str, Tensor], number: int) -> Catalogue:
        """The catalogue with more movies at its end, which nobody has rated.

        Args:
            vectors: for each modality that some of the movies have, raw vectors [number, dimension]. A modality left
                out, or a row with a number that is not finite, is missing.

        Raises:
            InputError: an unknown modality, or vectors of another shape than the model was trained on.
        """
        self._check_names(vectors, "vectors")
        larger = shared_copy(self)
        larger._fields = nn.ModuleList(
            field.with_movies(vectors.get(name), number, name) for name, field in self.fields().items()
        )
        larger.has_ratings = F.pad(self.has_ratings, (0, number))
        if self.identity is not None:
            larger.identity = shared_copy(self.identity)
            larger.identity.vectors = with_zero_rows(self.identity.vectors, number)
        return larger

    def with_presence(self, present: Mapping[str, Tensor]) -> Catalogue:
        """The catalogue in which other movies have a vector of some modalities.

        Args:
            present: for each of these modalities the movies that have a vector, bool [N].
        """
        other = shared_copy(self)
        other._fields = nn.ModuleList(
            field.with_presence(present[name]) if name in present else field for name, field in self.fields().items()
        )
        return other

    def with_modalities(self, names: Collection[str]) -> Catalogue:
        """The catalogue in which every movie lacks the modalities that are not among ``names``.

        Raises:
            InputError: an unknown modality.
        """
        self._check_names(names, "modalities")
        no_movie = torch.zeros_like(self.has_ratings)
        return self.with_presence({name: no_movie for name in self.modalities if name not in names})

    def without_ratings(self) -> Catalogue:
        """The catalogue as if nobody had rated any movie."""
        other = shared_copy(self)
        other.has_ratings = torch.zeros_like(self.has_ratings)
        return other

    def _check_names(self, names: Collection[str], argument: str) -> None:
        if unknown := sorted(set(names) - set(self.modalities)):
            raise InputError(
                f"{argument}: the model has no modality '{unknown[0]}'. It has {', '.join(self.modalities) or 'none'}."
                f"{nearest(unknown[0], self.modalities)}"
            )


class ModalityField(nn.Module):
    """h = p (W x + b) + (1 - p) e        one modality of every movie, [N, d]

    x is the standardised vector and p says whether the movie has one. A missing vector is replaced by the learned
    vector e, never by zeros. In the code h is one product, [p x, p, 1 - p] @ [W; b; e].

    Args:
        modality: raw vectors of the catalogue.
        has_ratings: movies with training ratings, bool [N]. Only their vectors give the statistics.
        size: d.
        pca_components: for raw vectors, rotate them to at most this many principal components first.
    """

    vectors: Tensor
    present: Tensor

    def __init__(self, modality: Modality, has_ratings: Tensor, size: int, pca_components: int | None) -> None:
        super().__init__()
        training = modality.values[modality.present & has_ratings]
        self.standardizer = Standardizer(training, modality.values.shape[1], pca_components)
        self.register_buffer("vectors", self.standardizer(modality.values), persistent=False)
        self.register_buffer("present", modality.present, persistent=False)
        dimension = self.vectors.shape[1]
        bound = dimension**-0.5  # W and b start as in torch's linear layer, e at zero
        weights = torch.empty(dimension + 1, size).uniform_(-bound, bound)
        self.projection = nn.Parameter(torch.cat([weights, torch.zeros(1, size)]))  # [dimension + 2, d]

    @property
    def dimension(self) -> int:
        """Length of a raw vector."""
        return self.standardizer.dimension

    def forward(self, dropout: float) -> Tensor:
        """h of every movie, [N, d].

        Args:
            dropout: probability that a movie's vector counts as missing. It keeps the model usable with any subset of
                the modalities.
        """
        present = self.present
        if dropout > 0:
            present = present & (torch.rand(present.shape, device=present.device) >= dropout)
        p = present.to(self.projection.dtype)[:, None]  # [N, 1]
        return torch.cat([self.vectors * p, p, 1 - p], dim=1) @ self.projection

    def with_presence(self, present: Tensor) -> ModalityField:
        """The same vectors, but only the movies of ``present``, bool [N], have one."""
        other = shared_copy(self)
        other.present = present
        return other

    def with_movies(self, raw: Tensor | None, number: int, name: str) -> ModalityField:
        """The field with the vectors of more movies at its end; see `Catalogue.with_movies`."""
        if raw is None:
            raw = self.vectors.new_full((number, self.dimension), float("nan"))
        if raw.shape != (number, self.dimension):
            raise InputError(
                f"vectors: '{name}' has shape {tuple(raw.shape)}, but the model takes ({number}, {self.dimension})"
            )
        raw = raw.to(self.vectors)
        present = raw.isfinite().all(dim=1)
        larger = shared_copy(self)
        standard = torch.where(present[:, None], self.standardizer(raw), 0.0)
        larger.vectors = torch.cat([self.vectors, standard])
        larger.present = torch.cat([self.present, present])
        return larger


class MovieIdentity(nn.Module):
    """h_id = i_m for a movie with training ratings, one learned vector for all others; [N, id_size].

    Ratings say more about a movie than its content can. In training a movie loses its identity with probability
    ``dropout``, so that the model learns to predict without it. A cold movie is predicted as a movie that has lost its
    identity (Volkovs, Yu and Poutanen, DropoutNet, NeurIPS 2017).

    Args:
        item_num: N.
        size: length of the vector.
        dropout: probability of losing the identity in a training step.
    """

    def __init__(self, item_num: int, size: int, dropout: float) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.randn(item_num, size) * 0.1)
        self.missing = nn.Parameter(torch.zeros(size))
        self.dropout = dropout

    def draw(self, has_ratings: Tensor) -> Tensor:
        """Which of the movies with ratings keep their identity in a training step, bool [N]; drawn at each call."""
        if self.dropout == 0:
            return has_ratings
        return has_ratings & (torch.rand(len(has_ratings), device=has_ratings.device) >= self.dropout)

    def forward(self, has_identity: Tensor) -> Tensor:
        """h_id of every movie, [N, id_size], from which movies have their identity, bool [N]."""
        return torch.where(has_identity[:, None], self.vectors, self.missing)
