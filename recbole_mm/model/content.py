"""Vectors of movies as inputs: standardised by training movies, with a flag for missing vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from recbole_mm.data.dataset import MultimodalDataset
from recbole_mm.model.layers import Standardizer
from recbole_mm.model.sharing import shared_copy


class ContentVectors(NamedTuple):
    """Standardised vectors of one modality, [n, d], and which of the n movies have one, bool [n]."""

    values: Tensor
    present: Tensor

    def of(self, items: Tensor) -> ContentVectors:
        """Those of some movies, by id or by a mask."""
        return ContentVectors(self.values[items], self.present[items])


def presence(content: Sequence[ContentVectors], movies: Tensor) -> Tensor:
    """Which of N movies have a vector of which of M modalities, bool [N, M].

    Args:
        movies: any tensor of N rows on the device of the model, for a model without modalities.
    """
    columns = [field.present for field in content]
    return torch.stack(columns, dim=1) if columns else movies.new_zeros(len(movies), 0, dtype=torch.bool)


class CatalogueContent(nn.Module):
    """[p·x, p, 1 - p] of every modality and movie: a linear map of it is W x + b, or a learned vector if x is missing.

    Args:
        dataset: the **training** part, with `modalities`; movies with a rating in it give mean and scale.

    Attributes:
        widths: modality -> its number of columns, dimension + 2.
    """

    side_by_side: Tensor

    def __init__(self, dataset: MultimodalDataset) -> None:
        super().__init__()
        trained = torch.zeros(dataset.item_num, dtype=torch.bool)
        trained[torch.as_tensor(dataset.inter_feat[dataset.iid_field])] = True
        parts, self.widths = [], {}
        for name, modality in dataset.modalities.items():
            training = modality.values[modality.present & trained]
            standardizer = Standardizer(training, modality.values.shape[1], dataset.config["pca_components"])
            present = modality.present[:, None].float()  # [N, 1]
            parts.append(torch.cat([standardizer(modality.values) * present, present, 1 - present], dim=1))
            self.widths[name] = parts[-1].shape[1]
        self.register_buffer("side_by_side", torch.cat(parts, dim=1), persistent=False)

    def forward(self) -> Tensor:
        """All modalities side by side, [N, Σ widths]."""
        return self.side_by_side

    def fields(self) -> tuple[Tensor, ...]:
        """One matrix for each modality, [N, width]."""
        return self.side_by_side.split(list(self.widths.values()), dim=1)

    def present(self) -> Tensor:
        """Which movies have a vector of which modality, bool [M, N]."""
        return torch.stack([field[:, -2] > 0 for field in self.fields()])

    def with_presence(self, present: Mapping[str, Tensor]) -> CatalogueContent:
        """The same vectors, of which only those of ``present``, bool [N] for each modality named, are there."""
        other, parts = shared_copy(self), []
        for name, field in zip(self.widths, self.fields()):
            kept = (field[:, -2] * present[name] if name in present else field[:, -2])[:, None]  # [N, 1]
            parts.append(torch.cat([field[:, :-2] * kept, kept, 1 - kept], dim=1))
        other.side_by_side = torch.cat(parts, dim=1)
        return other


class ReadsContent:
    """A trained model from which vectors can be taken away: a part of each model that has `CatalogueContent`.

    Attributes:
        content: vectors of all movies.
    """

    content: CatalogueContent

    def with_presence(self, present: Mapping[str, Tensor]):
        """The model, with the same weights, in which only the movies of ``present`` have a vector.

        Args:
            present: bool [N] for each modality that loses some; the others stay as they are.
        """
        other: Any = shared_copy(self)  # type: ignore[type-var]
        other.content = self.content.with_presence(present)
        other.read_content()
        return other

    def read_content(self) -> None:
        """Build what follows from the vectors alone, such as a graph; nothing by default."""


class Projection(nn.Module):
    """W_m [p·x_m, p, 1 - p] of every modality m: W x + b, or a learned vector of the modality where x is missing.

    Args:
        content: vectors of all movies.
        size: length of a projection.
    """

    def __init__(self, content: CatalogueContent, size: int) -> None:
        super().__init__()
        self.maps = nn.ModuleList(nn.Linear(width, size, bias=False) for width in content.widths.values())

    def forward(self, content: CatalogueContent, items: Tensor | None = None) -> Tensor:
        """[M, N, size], or [M, B, size] of the movies ``items`` [B]."""
        fields = content.fields() if items is None else (field[items] for field in content.fields())
        return torch.stack([one(field) for one, field in zip(self.maps, fields)])
