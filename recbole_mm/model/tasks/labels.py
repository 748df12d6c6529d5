"""Tasks that predict labels of movies, which are held out for a part of the movies."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recbole_mm.data.dataset import MultimodalDataset
from recbole_mm.data.labels import MovieLabels
from recbole_mm.errors import InputError
from recbole_mm.evaluation.families import LabelFamily
from recbole_mm.model.catalogue import Catalogue
from recbole_mm.model.tasks.base import Batch, EncodedCatalogue, Task


class MovieLabelTask(Task):
    """logits = W c(m) + b        a linear head on the movies' representation c, on movies drawn uniformly

    A subclass says where the labels come from (`read_labels`), what the loss is and how logits become probabilities.
    The split decides which movies' labels are held out (`recbole_mm.data.splits`).

    Attributes:
        targets: 0/1 labels of the catalogue, [N, G].
        training_movies: ids of the movies whose labels are trained on.

    Raises:
        InputError: no movie with labels is left to train on.
    """

    family: ClassVar[LabelFamily]

    batch_size: int
    targets: Tensor
    training_movies: Tensor

    def __init__(
        self, size: int, catalogue: Catalogue, dataset: MultimodalDataset, config, learned_size: int = 0
    ) -> None:
        super().__init__()
        self.batch_size = config["genre_batch_size"]
        self.loss_weight = self.weight(config)
        labels, split = dataset.labels[self.name], dataset.label_items[self.name]
        if not len(split.train):
            raise InputError(
                f"{dataset.dataset_name}.item: task '{self.name}': no movie with labels is left to train on; lower "
                f"genre_test_ratio or genre_valid_ratio"
            )
        self.register_buffer("targets", labels.targets, persistent=False)
        self.register_buffer("training_movies", split.train, persistent=False)
        self.head = nn.Linear(size, len(labels.names))

    @classmethod
    @abstractmethod
    def read_labels(cls, dataset: MultimodalDataset) -> MovieLabels:
        """Labels of every movie of the data set.

        Raises:
            InputError: the field is absent or holds no label.
        """

    @abstractmethod
    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Mean loss of logits and 0/1 targets, both [B, G]."""

    @abstractmethod
    def probabilities(self, logits: Tensor) -> Tensor:
        """Probability of each label, [B, G]."""

    def draw(self, batch: Batch) -> Tensor:
        """Movies drawn uniformly from those with labels to train on, ids [batch_size]."""
        positions = torch.randint(len(self.training_movies), (self.batch_size,), device=self.training_movies.device)
        return self.training_movies[positions]

    def losses(self, encoded: EncodedCatalogue, batch: Batch, drawn: Tensor | None) -> dict[str, Tensor]:
        assert drawn is not None  # `draw` gives movies
        logits = self.head(F.embedding(drawn, encoded.movies.of_task[self.name]))
        return {self.name: self.loss_weight * self.loss(logits, self.targets[drawn])}

    def predict(self, encoded: EncodedCatalogue, items: Tensor) -> Tensor:
        """Probability of each label, [B, G], of movies given by id [B]."""
        return self.probabilities(self.logits(encoded, items))

    def logits(self, encoded: EncodedCatalogue, items: Tensor) -> Tensor:
        """Logits of each label, [B, G]; `predict` turns them into probabilities."""
        return self.head(encoded.movies.of_task[self.name][items])
