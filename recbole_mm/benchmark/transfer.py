"""How good a model is on movies and people of another data set, of which it has seen nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from recbole.data.dataset import Dataset
from recbole.evaluator.collector import DataStruct

from recbole_mm.benchmark.cell import Cell
from recbole_mm.config.config import Config
from recbole_mm.errors import InputError
from recbole_mm.evaluation.families import GENRE, RANKING, RATING
from recbole_mm.evaluation.metrics import UserEvaluator, genre_metrics, rating_metrics
from recbole_mm.features.encoders import NumberComponents, encoder_path, load_field_encoder
from recbole_mm.files import writing
from recbole_mm.inference.lookup import Movies, other_forms
from recbole_mm.inference.recommender import Recommender
from recbole_mm.inference.served import ServedData
from recbole_mm.training.session import fit_model, prepare_data

PEOPLE_AT_ONCE = 100


def transfer_cell(cell: Cell) -> dict[str, Any]:
    """Train on the data set of the suite; then predict the movies that only the data set of option ``to`` has.

    A person of the other data set is known by their ratings of the movies that both have, as a person in no data set
    (`Recommender.recommend_for`). Predicted are their ratings of the other movies, the order of those movies, and the
    genres of those movies. A movie has the vectors of the fields that both data sets have, see `translated`.

    Returns:
        ``test`` with the metrics that the run asks for, and ``about`` with numbers of movies and people. ``valid`` is
        empty. What pairs and people got is in the cell's ``predictions``.

    Raises:
        InputError: no option ``to``; or the data sets share no movies, no fields or no rating scale.
    """
    if cell.options.get("to") in (None, cell.dataset):
        raise InputError(
            f"row '{cell.row}': tool 'transfer' needs the option to, the name of a data set that is not {cell.dataset}"
        )
    config = Config(arguments=cell.arguments())
    for family in config["metrics_of"].keys() - {RATING.name, RANKING.name, GENRE.name}:
        raise InputError(f"row '{cell.row}': tool 'transfer' cannot measure task '{family}'; set tasks or metrics")
    other = OtherData.read(replace(cell, dataset=cell.options["to"]))
    _, session = fit_model(config)
    recommender = Recommender(session.model, ServedData.of_run(session.split.train, session.split, session.config))
    people = _people(recommender, other)

    found, test = {}, {}
    for family, names in config["metrics_of"].items():
        if family == GENRE.name:
            test |= _genres(recommender, other, people, names)
            continue
        values, arrays = (_ratings if family == RATING.name else _ranking)(recommender, people, config, names)
        test |= values
        found |= arrays
    with writing(cell.predictions) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **{name: _as_bytes(values) for name, values in found.items()})
    about = {
        "to": other.name,
        "fields": list(people.fields),
        "movies of both": people.shared,
        "new movies": len(people.new),
        "people": len(people.profiles),
        "ratings": len(people.asked),
    }
    return {"valid": {}, "test": {name: round(value, 4) for name, value in test.items()}, "about": about}


@dataclass(frozen=True)
class OtherData:
    """The data set that a model is taken to.

    Attributes:
        data: as RecBole reads it, with modalities and labels.
        movies: its catalogue; position 0 is [PAD].
        ratings: columns user (token), item (internal id), rating; each pair once.
    """

    name: str
    folder: Path
    data: Dataset
    movies: Movies
    ratings: pd.DataFrame

    @classmethod
    def read(cls, cell: Cell) -> OtherData:
        """The data of a run on this data set, with its own properties; of the row only ``data_path`` counts."""
        own = {name: value for name, value in cell.options.items() if name in ("model", "data_path")}
        config = Config(arguments=replace(cell, options=own).arguments())
        data, _ = prepare_data(config)
        rows = data.inter_feat
        ratings = pd.DataFrame(
            {
                "user": data.field2id_token[data.uid_field][rows[data.uid_field].numpy()],
                "item": rows[data.iid_field].numpy(),
                "rating": rows[config["RATING_FIELD"]].double().numpy(),
            }
        )
        movies = Movies.read(data.field2id_token[data.iid_field], config)
        return cls(cell.dataset, Path(config["data_path"]), data, movies, ratings)


@dataclass(frozen=True)
class People:
    """What the model is asked.

    Attributes:
        fields: of which the new movies have vectors.
        shared: number of movies that both data sets have.
        new: internal id of a movie in the other data -> its id in the recommender.
        profiles: person -> their ratings of shared movies, for `Recommender.predict_for_each`.
        asked: the ratings of new movies by these people: columns user, item (ids of the recommender), rating; by user.
    """

    fields: tuple[str, ...]
    shared: int
    new: dict[int, str]
    profiles: dict[str, dict[str, Any]]
    asked: pd.DataFrame

    def in_parts(self) -> Iterator[dict[str, dict[str, Any]]]:
        """The profiles of some people at a time."""
        names = list(self.profiles)
        for first in range(0, len(names), PEOPLE_AT_ONCE):
            yield {name: self.profiles[name] for name in names[first : first + PEOPLE_AT_ONCE]}


def _people(recommender: Recommender, other: OtherData) -> People:
    """Add the other data's new movies to the recommender, and gather what people rated."""
    low, high = recommender.rating_scale or (-np.inf, np.inf)
    if np.isfinite(high) and other.ratings["rating"].max() != high:
        raise InputError(
            f"{other.name}: its highest rating is {other.ratings['rating'].max():g}, that of the training {high:g}; "
            f"tool 'transfer' needs data sets of one scale"
        )
    shared, unknown = matched(_catalogue(recommender.movies), other.movies)
    vectors = translated(recommender, other)
    there = {item for values in vectors.values() for item in np.flatnonzero(~np.isnan(values[:, 0]))}
    new = {item: f"{other.name}: {other.movies.tokens[item]}" for item in unknown if item in there}
    if not shared or not new:
        raise InputError(
            f"{other.name}: {len(shared)} movies by title and year that the training data have, {len(new)} that they "
            f"lack; tool 'transfer' needs some of both"
        )
    columns = {name: [_cell(values[item]) for item in new] for name, values in vectors.items()}
    recommender.add_movies({"title": list(new.values()), **columns})

    ratings = other.ratings
    known = ratings[ratings["item"].isin(list(shared))]
    asked = ratings[ratings["item"].isin(list(new)) & ratings["user"].isin(known["user"].unique())]
    known = known[known["user"].isin(asked["user"].unique())]
    if asked.empty:
        raise InputError(f"{other.name}: nobody has rated both a movie that the training data have and a new one")
    profiles = {
        str(user): {"ratings": dict(zip(rows["item"].map(shared), rows["rating"].clip(low, high)))}
        for user, rows in known.groupby("user")
    }
    asked = asked.assign(item=asked["item"].map(new)).sort_values("user", kind="stable").reset_index(drop=True)
    return People(tuple(vectors), len(shared), new, profiles, asked)


def matched(training: Movies, other: Movies) -> tuple[dict[int, str], list[int]]:
    """Movies that both catalogues have, and those that only ``other`` has.

    Movies are the same if they agree in title and year. One that agrees in the title alone is in neither result: it may
    be a movie that the model was trained on. Of several with the same title and year the first counts.

    Returns:
        Position in ``other`` -> id in ``training``; and positions in ``other``.
    """
    exact, loose = training.by_title
    known = {**loose, **exact}
    both: dict[int, str] = {}
    only: list[int] = []
    for position in range(1, len(other)):
        title, year = other.key(other.titles[position]), other.years[position]
        forms = [title, *sorted(other_forms(title))]
        dated = [] if pd.isna(year) else [f"{form} ({year})" for form in forms]
        if found := next((known[form] for form in dated if form in known), None):
            if training.tokens[found[0]] not in both.values():
                both[position] = training.tokens[found[0]]
        elif not any(form in known for form in forms):
            only.append(position)
    return both, only


def translated(recommender: Recommender, other: OtherData) -> dict[str, np.ndarray]:
    """Vectors of the other data set as the model reads them: field -> float64 [N, k], rows of NaN where missing.

    A field counts if both data sets have it, made by encoders that rotate the same kind of raw vector. The other
    encoder's components are turned back into raw vectors, as far as they hold them, and encoded as the training data
    were. So the model's own statistics stay those of its training movies.

    Raises:
        InputError: there is no such field.
    """
    found: dict[str, np.ndarray] = {}
    for name, own in recommender.encoders.items():
        path = encoder_path(other.folder, other.name, name)
        modality = other.data.modalities.get(name)
        if modality is None or not path.is_file():
            continue
        encoder = load_field_encoder(path)
        ours, theirs = own.components, encoder.components
        if not isinstance(ours, NumberComponents) or not isinstance(theirs, NumberComponents):
            continue  # terms cannot be told from their components
        if (own.content, own.sentence_encoder, own.extracted, ours.size) != (
            encoder.content,
            encoder.sentence_encoder,
            encoder.extracted,
            theirs.size,
        ):
            continue
        values = ours(theirs.raw_of(modality.values.double().numpy()))
        values[~modality.present.bool().numpy()] = np.nan
        found[name] = values
    if not found:
        raise InputError(
            f"{other.name}: no field that the model reads ({', '.join(recommender.modalities)}) has an encoder of the "
            f"same raw vectors in both data sets; tool 'transfer' needs one"
        )
    return found


def _catalogue(movies: pd.DataFrame) -> Movies:
    """`Movies` of columns item_id, title, year."""
    tokens, titles = (np.array(["[PAD]", *movies[name]], dtype=object) for name in ("item_id", "title"))
    return Movies(tokens, titles, pd.concat([pd.Series([pd.NA], dtype="Int64"), movies["year"]], ignore_index=True))


def _cell(vector: np.ndarray) -> np.ndarray | None:
    return None if np.isnan(vector[0]) else vector


# ---------------------------------------------------------------------- metrics


def _ratings(
    recommender: Recommender, people: People, config: Config, names: list[str]
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """RMSE and MAE of the ratings asked for; their users, movies, true and predicted values, each [n]."""
    of_user = dict(list(people.asked.groupby("user", sort=False)))
    parts = []
    for profiles in people.in_parts():
        items = sorted({item for user in profiles for item in of_user[user]["item"]})
        predicted = recommender.predict_for_each(profiles, items)
        wanted = pd.concat([of_user[user] for user in profiles])
        parts.append(
            wanted.merge(
                predicted,
                left_on=["user", "item"],
                right_on=["person", "item_id"],
                suffixes=("", "_predicted"),
                validate="many_to_one",
            )
        )
    pairs = pd.concat(parts, ignore_index=True)
    arrays = {name: pairs[column].to_numpy() for name, column in _COLUMNS.items()}
    both = (torch.from_numpy(arrays[name].astype(np.float64)) for name in ("predicted", "rating"))
    return rating_metrics(config, names, *both), arrays


_COLUMNS = {"user": "user", "item": "item", "rating": "rating", "predicted": "rating_predicted"}


def _ranking(
    recommender: Recommender, people: People, config: Config, names: list[str]
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """RecBole's metrics of the new movies ranked for each person, where those that they rated are relevant."""
    k = max(config["topk"])
    relevant = people.asked.groupby("user")["item"].agg(set)
    hits = np.zeros((len(people.profiles), k + 1), np.int64)  # and last, how many there are to be found
    place = {user: number for number, user in enumerate(people.profiles)}
    for profiles in people.in_parts():
        for row in recommender.recommend_for_each(profiles, k, among=list(people.new.values())).itertuples():
            hits[place[row.person], row.rank - 1] = row.item_id in relevant[row.person]
    hits[:, k] = [len(relevant[user]) for user in people.profiles]
    struct = DataStruct()
    struct.set("rec.topk", torch.from_numpy(hits))
    evaluator = UserEvaluator(config)
    values = evaluator.evaluate(struct)
    return {name: float(value) for name, value in values.items()}, {
        "ranked_user": np.array(list(people.profiles)),
        **evaluator.by_user,
    }


def _genres(recommender: Recommender, other: OtherData, people: People, names: list[str]) -> dict[str, float]:
    """Genre metrics over the new movies that have genres, and the genres that both data sets have."""
    labels = other.data.labels["genre"]
    shared = [name for name in recommender.genre_names if name in labels.names]
    items = [item for item in people.new if labels.labelled[item]]
    target = labels.targets[items][:, [labels.names.index(name) for name in shared]]
    predicted = recommender.genres([people.new[item] for item in items])[shared].to_numpy()
    return genre_metrics(names, target, torch.from_numpy(predicted))


def _as_bytes(values: np.ndarray) -> np.ndarray:
    return np.char.encode(values.astype(str), "utf-8") if values.dtype.kind in "OU" else values
