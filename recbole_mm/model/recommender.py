"""What MMFS, MMSP and MMASP have in common: a catalogue, users, an encoder and the tasks.

Shapes: N movies (``item_num``, [PAD] included), U users (``user_num``), B pairs, R users of a batch.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, cast

import numpy as np
import torch
from recbole.model.abstract_recommender import GeneralRecommender
from recbole.utils import InputType
from torch import Tensor, nn

from recbole_mm.data.dataset import MultimodalDataset
from recbole_mm.errors import InputError
from recbole_mm.model.capabilities import Capabilities
from recbole_mm.model.catalogue import Catalogue
from recbole_mm.model.tasks.base import Batch, EncodedCatalogue, MovieRepresentations, Task
from recbole_mm.model.tasks.registry import TASKS
from recbole_mm.model.users import Users


class MultitaskRecommender(GeneralRecommender):
    """Several tasks learned from one fused representation of the movies (docs/models.md).

        f = fuse(vectors, identity)                 `Catalogue`
        s, private parts = encode(f)                the subclass
        losses, scores                              each task, from its representation of movies and from the users

    A subclass creates its encoders in `build_encoders`. Its `encode` turns the fused input into the representations of
    the tasks.

    Args:
        config: options of the run; see ``properties/model`` for the model's own.
        dataset: the **training** part of a `MultimodalDataset`. Users, mean rating, rating scale and the
            standardisation of the vectors come from its rows and its movies only.

    Attributes:
        catalogue: the movies.
        users: the movies that each user liked and disliked.
        tasks: the tasks of the option ``tasks``, by name.

    Raises:
        InputError: no training rating reaches ``like_threshold``, or a task has nothing to learn from.
    """

    input_type = InputType.POINTWISE
    capabilities: ClassVar[Capabilities] = Capabilities(tasks=TASKS, reads_vectors=True)

    catalogue: Catalogue
    users: Users
    tasks: nn.ModuleDict

    def __init__(self, config, dataset: MultimodalDataset) -> None:
        super().__init__(config, dataset)
        users, items, is_liked = _training_rows(config, dataset)
        has_ratings = torch.from_numpy(np.bincount(items, minlength=self.n_items) > 0)
        self.catalogue = Catalogue(dataset.modalities, has_ratings, config)
        self.users = Users.from_rows(users, items, is_liked, self.n_users, self.n_items)
        names = list(config["tasks"])
        sizes = self.build_encoders(self.catalogue.fused_size, names, config)
        classes: list[type[Task]] = [self.capabilities.tasks[name] for name in names]
        learned_size = sum(task.learned_size(config) for task in classes)
        self.tasks = nn.ModuleDict()
        for task in classes:  # in this order, which decides the random numbers that a task starts from
            self.tasks[task.name] = task(sizes[task.name], self.catalogue, dataset, config, learned_size)
        self._encoded: EncodedCatalogue | None = None
        self._statistics: dict[str, list[Tensor]] = {}

    @abstractmethod
    def build_encoders(self, fused_size: int, tasks: Sequence[str], config) -> dict[str, int]:
        """Create the encoders from the fused input [N, fused_size].

        Returns:
            For each task the length of its representation.
        """

    @abstractmethod
    def encode(self, fused: Tensor) -> MovieRepresentations:
        """Representations of the movies for the tasks, from their fused input [N, fused_size]."""

    @property
    def learned_tasks(self) -> dict[str, Task]:
        """`tasks` as a plain dict."""
        return cast("dict[str, Task]", dict(self.tasks.items()))

    # ------------------------------------------------------------------ movies

    def encoded(self) -> EncodedCatalogue:
        """Movies and users for predictions, computed once and kept until the parameters may change."""
        if self._encoded is None or self.training:
            encoded = self._encode_all()
            self._encoded = replace(
                encoded, states={name: task.state(encoded) for name, task in self.learned_tasks.items()}
            )
        return self._encoded

    def _encode_all(self) -> EncodedCatalogue:
        has_identity = self.catalogue.draw_identity()
        movies = self.encode(self.catalogue.fuse(has_identity))

        def learned() -> Tensor | None:
            parts = [task.learned(self.catalogue, has_identity) for task in self.learned_tasks.values()]
            parts = [part for part in parts if part is not None]
            return torch.cat(parts, dim=1) if len(parts) > 1 else parts[0] if parts else None

        return EncodedCatalogue(self.catalogue, self.users, has_identity, movies, learned)

    def use_encoded(self, encoded: EncodedCatalogue | None) -> None:
        """Predict from these movies and users; None: encode them again when they are needed."""
        self._encoded = encoded

    def train(self, mode: bool = True):
        self.use_encoded(None)
        return super().train(mode)

    def load_state_dict(self, *args, **kwargs):
        self.use_encoded(None)
        return super().load_state_dict(*args, **kwargs)

    # ------------------------------------------------------------------ training

    def calculate_loss(self, interaction: Batch) -> dict[str, Tensor]:
        """Weighted losses by name; training minimises their sum.

        Args:
            interaction: RecBole's batch of training rows with user, item and, if the data have ratings, rating, each
                [B].
        """
        drawn = {name: task.draw(interaction) for name, task in self.learned_tasks.items()}
        encoded = self._encode_all()
        losses: dict[str, Tensor] = {}
        for name, task in self.learned_tasks.items():
            losses.update(task.losses(encoded, interaction, drawn[name]))
        movies_of = {name: movies for name, movies in drawn.items() if movies is not None}
        return {**losses, **self.extra_losses(encoded.movies, movies_of)}

    def extra_losses(self, movies: MovieRepresentations, drawn: dict[str, Tensor]) -> dict[str, Tensor]:
        """Losses that the model adds to the losses of the tasks; none here.

        Args:
            movies: representations of the catalogue.
            drawn: for each task about movies the ids of its movies in this step: for ``rating`` the movies of the
                batch (drawn by popularity), for ``genre`` movies drawn uniformly.
        """
        return {}

    def log_statistic(self, name: str, value: Tensor) -> None:
        """Keep a number of this batch that is not a loss; the trainer logs its mean over the epoch."""
        self._statistics.setdefault(name, []).append(value.detach())

    def pop_statistics(self) -> dict[str, float]:
        """Means of the statistics logged since the last call."""
        means = {name: float(torch.stack(values).mean()) for name, values in self._statistics.items()}
        self._statistics.clear()
        return means

    # ------------------------------------------------------------------ prediction

    def task(self, name: str) -> Task:
        """A task that the model has learned.

        Raises:
            InputError: the model has not learned it.
        """
        if name not in self.tasks:
            raise InputError(
                f"{type(self).__name__} was trained without the task '{name}' (tasks: {', '.join(self.tasks)}); train "
                f"a model with this task"
            )
        return self.learned_tasks[name]

    @property
    def ranker(self) -> Task:
        """The task whose scores order the catalogue: ranking if the model has it, else rating.

        Raises:
            InputError: the model has neither.
        """
        for task in reversed(self.learned_tasks.values()):
            if task.ranks:
                return task
        raise InputError(
            f"{type(self).__name__} was trained without a task that ranks movies (tasks: {', '.join(self.tasks)}); "
            f"train a model with ranking or rating"
        )

    def predict(self, interaction: Batch) -> Tensor:
        """Ranking score of each pair, [B]."""
        return self.ranker.score(self.encoded(), interaction[self.USER_ID], interaction[self.ITEM_ID])

    def full_sort_predict(self, interaction: Batch) -> Tensor:
        """Ranking score of every movie for each user of the batch, [R·N], as one matrix computation."""
        return self.ranker.score_catalogue(self.encoded(), interaction[self.USER_ID]).reshape(-1)

    def predict_rating(self, interaction: Batch) -> Tensor:
        """Predicted rating of each pair, clipped to the rating scale, [B]."""
        return self.task("rating").predict(self.encoded(), interaction[self.USER_ID], interaction[self.ITEM_ID])

    def predict_labels(self, task: str, items: Tensor) -> Tensor:
        """Probability of each label of a task about movies, [B, G], of movies given by id [B]."""
        return self.task(task).predict(self.encoded(), items)

    def predict_genres(self, items: Tensor) -> Tensor:
        """Probability of each genre, [B, G], of movies given by id [B]."""
        return self.predict_labels("genre", items)

    def movie_embeddings(self) -> Tensor:
        """The vectors that profiles average, [N, m]: z of the task rating, else of the first task."""
        of_task = self.encoded().movies.of_task
        return of_task[next(iter(self.tasks))]

    def user_embeddings(self) -> Tensor:
        """P of every user, [U, m]; without the task rating the mean embedding of the movies that the user liked."""
        if "rating" in self.tasks:
            return self.encoded().states["rating"].profiles
        return self.users.liked.averages(self.movie_embeddings())


def _training_rows(config, dataset: MultimodalDataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Users, items and whether the user likes the item, of each training row; without ratings every row is liked."""
    rows = dataset.inter_feat
    users, items = (rows[field].numpy() for field in (dataset.uid_field, dataset.iid_field))
    field, threshold = config["RATING_FIELD"], config["like_threshold"]
    if field not in rows:
        return users, items, np.ones(len(users), dtype=bool)
    ratings = rows[field].numpy()
    is_liked = ratings >= threshold
    if not is_liked.any():
        raise InputError(
            f"{dataset.dataset_name}.inter: no training row has '{field}' >= {threshold}, so no user likes any movie "
            f"(largest rating: {ratings.max():g}); lower like_threshold"
        )
    return users, items, is_liked
