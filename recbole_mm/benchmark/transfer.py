"""How good a model is on the movies that only another data set has, for the people of that data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from recbole.data.dataset import Dataset
from recbole.evaluator import metric_information
from recbole.evaluator.collector import DataStruct

from recbole_mm.benchmark.cell import Cell
from recbole_mm.benchmark.key import data_folder
from recbole_mm.benchmark.same_movies import matched
from recbole_mm.config.config import Config
from recbole_mm.errors import InputError
from recbole_mm.evaluation.families import GENRE, RANKING, RATING
from recbole_mm.evaluation.metrics import UserEvaluator, genre_metrics, rating_metrics
from recbole_mm.features.encoders import FieldEncoder, NumberComponents, encoder_path, load_field_encoder
from recbole_mm.files import writing
from recbole_mm.inference.lookup import Movies
from recbole_mm.inference.recommender import Recommender
from recbole_mm.inference.served import ServedData
from recbole_mm.training.session import fit_model, prepare_data

PEOPLE_AT_ONCE = 100
Arrays = dict[str, np.ndarray]


def transfer_cell(cell: Cell) -> dict[str, Any]:
    """Train on the data set of the suite; then predict the movies that only the data set of option ``to`` has.

    A person of the other data set is known by their ratings of the movies that both have, as a person in no data set
    (`Recommender.recommend_for`). Predicted are their ratings of the other movies, the order of those movies, and the
    genres of those movies. A movie has the vectors of the fields that both data sets have, see `translated`.

    Returns:
        ``test`` with the metrics that the run asks for, and ``about`` with numbers of movies and people. ``valid`` is
        empty. What pairs and people got is in the cell's ``predictions``.

    Raises:
        InputError: before any training: no option ``to``, a metric that cannot be measured here, or data sets that
            share no movies, no fields or no rating scale.
    """
    if cell.options.get("to") in (None, cell.dataset):
        raise InputError(f"row '{cell.row}': tool 'transfer' needs the option to, the name of another data set")
    config = Config(arguments=cell.arguments())
    _check_metrics(cell, config["metrics_of"])
    data, split = prepare_data(config)
    people = People.of(ServedData.of_run(data, split, config), OtherData.read(cell))
    if config.predicts_ratings:
        people.check_scale(split.train.inter_feat[config["RATING_FIELD"]].max())

    _, session = fit_model(config)
    recommender = Recommender(session.model, ServedData.of_run(data, session.split, config))
    recommender.add_movies(people.movies)
    found: Arrays = {}
    test: dict[str, float] = {}
    for family, names in config["metrics_of"].items():
        values, arrays = _MEASURES[family](recommender, people, config, names)
        test |= values
        found |= arrays
    with writing(cell.predictions) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **{name: _as_bytes(values) for name, values in found.items()})
    return {"valid": {}, "test": {name: round(value, 4) for name, value in test.items()}, "about": people.about()}


def _check_metrics(cell: Cell, metrics_of: Mapping[str, Sequence[str]]) -> None:
    """Refuse what needs more than predictions of pairs, lists of movies and genres."""
    for family, names in metrics_of.items():
        of_lists = [name for name in names if family == RANKING.name]
        wrong = [name for name in of_lists if metric_information.get(name.lower()) != ["rec.topk"]]
        if family not in _MEASURES:
            raise InputError(f"row '{cell.row}': tool 'transfer' cannot measure task '{family}'; set tasks or metrics")
        if wrong:
            raise InputError(f"row '{cell.row}': tool 'transfer' cannot measure {wrong[0]}; leave it out of metrics")


@dataclass(frozen=True)
class OtherData:
    """The data set that a model is taken to.

    Attributes:
        data: as RecBole reads it, with modalities and labels.
        movies: its catalogue; position 0 is [PAD].
        ratings: columns user (token), item (internal id), rating.
    """

    name: str
    folder: Path
    data: Dataset
    movies: Movies
    ratings: pd.DataFrame

    @classmethod
    def read(cls, cell: Cell) -> OtherData:
        """The data set of option ``to``, with its own properties: options of the row are for the training."""
        name = cell.options["to"]
        folder = data_folder(name, cell.options, cell.protocol)
        own = {"model": cell.options["model"], "data_path": str(folder.parent)}
        config = Config(arguments=replace(cell, dataset=name, options=own).arguments())
        data, _ = prepare_data(config)
        rows = data.inter_feat
        ratings = pd.DataFrame(
            {
                "user": data.field2id_token[data.uid_field][rows[data.uid_field].numpy()],
                "item": rows[data.iid_field].numpy(),
                "rating": rows[config["RATING_FIELD"]].double().numpy(),
            }
        )
        return cls(name, folder, data, Movies.read(data.field2id_token[data.iid_field], config), ratings)


@dataclass(frozen=True)
class People:
    """What a model is asked.

    Attributes:
        to: name of the other data set.
        fields: of which the new movies have vectors.
        shared: number of movies that both data sets have.
        movies: the new movies, for `Recommender.add_movies`; a title is the movie's id there.
        genres: 0/1 of the new movies that have genres: a column for each genre, index: their titles.
        known: ratings of shared movies: columns user, item (id in the training data), rating.
        asked: the ratings of new movies by these people: columns user, item (title), rating; by user.
    """

    to: str
    fields: tuple[str, ...]
    shared: int
    movies: dict[str, list]
    genres: pd.DataFrame
    known: pd.DataFrame
    asked: pd.DataFrame

    @classmethod
    def of(cls, training: ServedData, other: OtherData) -> People:
        """What both data sets have to say.

        Raises:
            InputError: they share no movies or no fields, or nobody has rated both shared and new movies.
        """
        shared, unknown = matched(training.movies, other.movies)
        vectors = translated(training.encoders, other)
        there = {item for values in vectors.values() for item in np.flatnonzero(~np.isnan(values[:, 0]))}
        new = {item: f"{other.name}: {other.movies.tokens[item]}" for item in unknown if item in there}
        if not shared or not new:
            raise InputError(
                f"{other.name}: {len(shared)} movies by title and year that the training data have, {len(new)} that "
                f"they lack; tool 'transfer' needs some of both"
            )
        columns = {name: [_cell(values[item]) for item in new] for name, values in vectors.items()}
        known, asked = (
            other.ratings.assign(item=other.ratings["item"].map(names)).dropna(subset="item") for names in (shared, new)
        )
        asked = asked[asked["user"].isin(known["user"])].sort_values("user", kind="stable", ignore_index=True)
        if asked.empty:
            raise InputError(f"{other.name}: nobody has rated both a movie that the training data have and a new one")
        return cls(
            other.name,
            tuple(vectors),
            len(shared),
            {"title": list(new.values()), **columns},
            _genre_table(other.data, new),
            known[known["user"].isin(asked["user"])],
            asked,
        )

    def check_scale(self, best: float) -> None:
        """Refuse ratings of another scale than that of the training, whose highest rating is ``best``."""
        highest = max(table["rating"].max() for table in (self.known, self.asked))
        if highest != best:
            raise InputError(
                f"{self.to}: its highest rating is {highest:g}, that of the training {best:g}; tool 'transfer' needs "
                f"data sets of one scale"
            )

    def profiles(self, scale: list[float] | None) -> dict[str, dict[str, Any]]:
        """Person -> their ratings of shared movies, clipped to the scale, for `Recommender.predict_for_each`."""
        low, high = scale or (-np.inf, np.inf)
        return {
            str(user): {"ratings": dict(zip(rows["item"], rows["rating"].clip(low, high)))}
            for user, rows in self.known.groupby("user")
        }

    def about(self) -> dict[str, Any]:
        """Numbers of movies, people and ratings."""
        return {
            "to": self.to,
            "fields": list(self.fields),
            "movies of both": self.shared,
            "new movies": len(self.movies["title"]),
            "people": self.asked["user"].nunique(),
            "ratings": len(self.asked),
        }


def translated(encoders: Mapping[str, FieldEncoder], other: OtherData) -> dict[str, np.ndarray]:
    """Vectors of the other data set as the model reads them: field -> float64 [N, k], rows of NaN where missing.

    A field counts if the training and the other data set read it, and their encoders rotate raw vectors of the same
    kind. The other encoder's components are turned back into raw vectors, as far as they hold them, and encoded as the
    training data were. So the model's own statistics stay those of its training movies.

    Args:
        encoders: of the training data, by field.

    Raises:
        InputError: there is no such field.
    """
    found: dict[str, np.ndarray] = {}
    for name, ours in encoders.items():
        path = encoder_path(other.folder, other.name, name)
        modality = other.data.modalities.get(name)
        if modality is None or not path.is_file():
            continue
        theirs = load_field_encoder(path)
        if _kind(ours) is None or _kind(ours) != _kind(theirs):
            continue
        values = ours.components(theirs.components.raw_of(modality.values.double().numpy()))
        values[~modality.present.bool().numpy()] = np.nan
        found[name] = values
    if not found:
        raise InputError(
            f"{other.name}: no field that the model reads has an encoder of the same raw vectors in both data sets "
            f"(fields with an encoder in the training data: {', '.join(encoders) or 'none'}); tool 'transfer' needs one"
        )
    return found


def _kind(encoder: FieldEncoder) -> tuple | None:
    """What an encoder's raw vectors are; None if they cannot be told from its components, as those of terms."""
    if not isinstance(encoder.components, NumberComponents):
        return None
    return encoder.content, encoder.sentence_encoder, encoder.extracted, encoder.components.size


def _genre_table(data: Dataset, new: Mapping[int, str]) -> pd.DataFrame:
    labels = getattr(data, "labels", {}).get("genre")
    if labels is None:
        return pd.DataFrame(index=[])
    items = [item for item in new if labels.labelled[item]]
    return pd.DataFrame(labels.targets[items].numpy(), [new[item] for item in items], labels.names)


def _cell(vector: np.ndarray) -> np.ndarray | None:
    return None if np.isnan(vector[0]) else vector


# ---------------------------------------------------------------------- metrics


def _in_parts(profiles: dict[str, dict[str, Any]]) -> Iterator[dict[str, dict[str, Any]]]:
    """Some people at a time."""
    names = list(profiles)
    for first in range(0, len(names), PEOPLE_AT_ONCE):
        yield {name: profiles[name] for name in names[first : first + PEOPLE_AT_ONCE]}


def _ratings(
    recommender: Recommender, people: People, config: Config, names: Sequence[str]
) -> tuple[dict[str, float], Arrays]:
    """RMSE and MAE of the ratings asked for; their users, movies, true and predicted values, each [n]."""
    of_user = {str(user): rows for user, rows in people.asked.groupby("user", sort=False)}
    parts = []
    for profiles in _in_parts(people.profiles(recommender.rating_scale)):
        wanted = pd.concat([of_user[user] for user in profiles])
        predicted = recommender.predict_for_each(profiles, sorted(set(wanted["item"])))
        predicted = predicted.set_index(["person", "item_id"])["rating"]
        pairs = pd.MultiIndex.from_frame(wanted[["user", "item"]])
        parts.append(wanted.assign(predicted=predicted.reindex(pairs).to_numpy()))
    pairs = pd.concat(parts)
    arrays = {name: pairs[name].to_numpy() for name in ("user", "item", "rating", "predicted")}
    both = (torch.from_numpy(arrays[name].astype(np.float64)) for name in ("predicted", "rating"))
    return rating_metrics(config, names, *both), arrays


def _ranking(
    recommender: Recommender, people: People, config: Config, names: Sequence[str]
) -> tuple[dict[str, float], Arrays]:
    """RecBole's metrics of the new movies ranked for each person, where those that they rated are relevant."""
    k, among = max(config["topk"]), people.movies["title"]
    relevant = people.asked.groupby("user")["item"].agg(set)
    profiles = people.profiles(recommender.rating_scale)
    hits = np.zeros((len(profiles), k + 1), np.int64)  # and last, how many there are to be found
    place = {user: number for number, user in enumerate(profiles)}
    for some in _in_parts(profiles):
        for person, rank, movie in recommender.recommend_for_each(some, k, among)[["person", "rank", "item_id"]].values:
            hits[place[person], rank - 1] = movie in relevant[person]
    hits[:, k] = [len(relevant[user]) for user in profiles]
    struct = DataStruct()
    struct.set("rec.topk", torch.from_numpy(hits))
    evaluator = UserEvaluator(config)
    values = evaluator.evaluate(struct)
    arrays = {"ranked_user": np.array(list(profiles)), **evaluator.by_user}
    return {name: float(value) for name, value in values.items()}, arrays


def _genres(
    recommender: Recommender, people: People, config: Config, names: Sequence[str]
) -> tuple[dict[str, float], Arrays]:
    """Genre metrics over the new movies that have genres, and the genres of the same name in both data sets."""
    shared = [name for name in recommender.genre_names if name in people.genres]
    predicted = recommender.genres(list(people.genres.index))[shared].to_numpy()
    target = torch.from_numpy(people.genres[shared].to_numpy())
    return genre_metrics(names, target, torch.from_numpy(predicted)), {}


_MEASURES = {RATING.name: _ratings, RANKING.name: _ranking, GENRE.name: _genres}


def _as_bytes(values: np.ndarray) -> np.ndarray:
    return np.char.encode(values.astype(str), "utf-8") if values.dtype.kind in "OU" else values
