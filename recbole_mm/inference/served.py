"""What a `Recommender` knows besides its model: users, movies, who has seen what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recbole.data.dataset import Dataset
from recbole.data.interaction import Interaction
from scipy.sparse import csr_matrix

from recbole_mm.data.splits import Split
from recbole_mm.features.encoders import FieldEncoder, encoder_path, load_field_encoder
from recbole_mm.inference.lookup import Movies, Users

# Options that name places on the machine of the training; no use of the model needs them.
_PLACES = {"data_path", "checkpoint_dir", "result_file", "predictions_file", "ratings_cache"}
_PLACES |= {"resume", "evaluate", "config_files"}


@dataclass(frozen=True)
class ServedData:
    """The data of a trained model, as far as its use needs them.

    Attributes:
        dataset: name of the data set.
        users, movies: ids, titles and years; position 0 is [PAD].
        seen: for ``exclude_seen=True`` and ``"all"``, which user has rated which movie, bool [U, N].
        options: options of the run, plain values.
        labels: for each task about movies, the names of its labels.
        rates: whether a built-in model predicts ratings; a model of this package has the task or not.
        join: adds the features that a built-in model reads to ids of users and movies.
        encoders: of the modalities that have one: from a movie's raw content to its vector.
    """

    dataset: str
    users: Users
    movies: Movies
    seen: Mapping[bool | str, csr_matrix]
    options: Mapping[str, Any]
    labels: Mapping[str, list[str]] = field(default_factory=dict)
    rates: bool = False
    join: Callable[[Interaction], Interaction] | None = None
    encoders: Mapping[str, FieldEncoder] = field(default_factory=dict)

    @classmethod
    def of_run(cls, dataset: Dataset, split: Split, config) -> ServedData:
        """The data of a run.

        Args:
            dataset: the whole data set.
            split: its parts; a user's profile comes from the training part.
            config: options of the run.
        """
        user_field, item_field = dataset.uid_field, dataset.iid_field
        users = Users(dataset.field2id_token[user_field])
        movies = Movies.read(dataset.field2id_token[item_field], config)
        shape = len(users), len(movies)

        def pairs(parts: Iterable[Dataset]) -> csr_matrix:
            rows = [[part.inter_feat[name].numpy() for part in parts] for name in (user_field, item_field)]
            user, item = map(np.concatenate, rows)
            return csr_matrix((np.ones(len(user), bool), (user, item)), shape=shape)

        return cls(
            dataset=dataset.dataset_name,
            users=users,
            movies=movies,
            seen={True: pairs((split.train, split.valid)), "all": pairs((split.train, split.valid, split.test))},
            options=config.plain(),
            labels={task: list(labels.names) for task, labels in getattr(dataset, "labels", {}).items()},
            rates=config.predicts_ratings,
            join=split.train.join,
            encoders=_encoders(dataset, config) if config.is_multitask else {},
        )

    @property
    def portable_options(self) -> dict[str, Any]:
        """The options without those that name places on the machine of the training."""
        return {name: value for name, value in self.options.items() if name not in _PLACES}

    def with_movies(self, movies: Movies) -> ServedData:
        """The same data with another catalogue, whose first movies are these."""
        return replace(self, movies=movies)

    def interaction(self, device: torch.device, **ids: np.ndarray) -> Interaction:
        """A batch for the model, of ``users`` and, for pairs, ``items``, internal ids [B] each."""
        fields = {"users": self.options["USER_ID_FIELD"], "items": self.options["ITEM_ID_FIELD"]}
        given = Interaction({fields[name]: torch.from_numpy(np.array(values)) for name, values in ids.items()})
        return (given if self.join is None else self.join(given)).to(device)


def _encoders(dataset: Dataset, config) -> dict[str, FieldEncoder]:
    """The encoders that lie beside the vectors of a data set."""
    names = getattr(dataset, "modalities", {})
    paths = {name: encoder_path(Path(config["data_path"]), dataset.dataset_name, name) for name in names}
    return {name: load_field_encoder(path) for name, path in paths.items() if path.is_file()}
