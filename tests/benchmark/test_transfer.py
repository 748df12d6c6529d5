from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import GENRES, PlantedData, write_atomic

from recbole_mm.benchmark import rows, suites, transfer
from recbole_mm.benchmark.cell import Cell
from recbole_mm.benchmark.key import make_cell
from recbole_mm.benchmark.runner import run_cell
from recbole_mm.config.config import Config
from recbole_mm.data.vectors import write_vectors
from recbole_mm.errors import InputError, NotInDataError
from recbole_mm.features.encoders import encoder_path, fit_numbers, load_field_encoder
from recbole_mm.inference.recommender import Recommender
from recbole_mm.inference.served import ServedData
from recbole_mm.training.session import fit_model

NAMES = "other", "planted"
SHARED = 30
"""Movies 1 to 29 of the planted data are in the other data, too; movie 30 of the other data has another year there."""


def raw_of(kind: np.ndarray, seed: int) -> np.ndarray:
    """Raw vectors [n, 6]: six numbers that differ in scale, from the kind of the movie and a little noise."""
    own = np.random.default_rng(seed)
    latent = np.eye(3)[kind] + own.normal(0, 0.1, (len(kind), 3))
    mix = np.random.default_rng(0).normal(0, 1, (3, 6)) * [1, 10, 0.1, 1, 5, 100]  # the same in both data sets
    return latent @ mix + 7


def write_field(folder: Path, dataset: str, tokens: list[str], raw: np.ndarray) -> None:
    encoder, vectors = fit_numbers(raw, 6)
    encoder.save(encoder_path(folder, dataset, "audio"))
    write_vectors(folder / f"{dataset}.audio", "audio", tokens, vectors)


class TwoDataSets:
    """Planted data whose audio has an encoder, and other data: 29 of its movies, a doubtful one, 40 new ones."""

    def __init__(self, planted: PlantedData) -> None:
        self.planted, self.folder = planted, planted.folder.parent / "other"
        write_field(planted.folder, planted.name, planted.tokens, raw_of(planted.kind, 1))
        self.kind = np.concatenate([planted.kind[1 : SHARED + 1], np.random.default_rng(3).integers(0, 3, 40)])
        self.tokens = [f"o{i}" for i in range(len(self.kind))]
        columns = {name: list(values[1 : SHARED + 1]) for name, values in planted.item_columns.items()}
        columns["release_year:token"][-1] = "1888"
        columns["movie_title:token_seq"] += [f"New film {i}" for i in range(40)]
        columns["release_year:token"] += ["2001"] * 40
        columns["class:token_seq"] = [GENRES[kind] for kind in self.kind]
        write_atomic(self.folder / "other.item", {**columns, "item_id:token": self.tokens})
        write_field(self.folder, "other", self.tokens, raw_of(self.kind, 2))
        random = np.random.default_rng(5)
        rows = [
            (f"p{user}", f"o{item}", 5.0 if self.kind[item] == user % 3 else float(random.integers(1, 3)), 0.0)
            for user in range(50)
            for item in random.choice(len(self.kind), 30, replace=False)
        ]
        self.ratings = pd.DataFrame(rows, columns=["user_id:token", "item_id:token", "rating:float", "timestamp:float"])
        self.write()
        options = {"load_col": planted.data_options()["load_col"], "modalities": ["audio"]}
        (self.folder / "other.yaml").write_text(yaml.safe_dump(options))

    def write(self) -> None:
        write_atomic(self.folder / "other.inter", {name: self.ratings[name] for name in self.ratings})

    def cell(self, folder: Path, row: str = "MMFS", **changes) -> Cell:
        given = self.planted.options(epochs=12, learning_rate=0.03, modalities=["audio"])
        own = {
            "model": "MMFS",
            "tool": "transfer",
            "to": "other",
            "metrics": ["RMSE", "NDCG", "genre_map"],
            "topk": [10],
        }
        options = {name: value for name, value in {**given, **own, **changes}.items() if value is not None}
        return make_cell(row, self.planted.name, options, "ranking", 1, folder)

    def run(self, folder: Path, **changes) -> tuple[dict, dict[str, np.ndarray]]:
        """Result and predictions."""
        folder.mkdir(exist_ok=True)
        cell = self.cell(folder, **changes)
        assert run_cell(cell) is None and cell.done
        with np.load(cell.predictions) as arrays:
            return json.loads(cell.file.read_text()), dict(arrays)


@pytest.fixture
def both(planted) -> TwoDataSets:
    return TwoDataSets(planted)


def test_a_model_predicts_the_new_movies_of_other_data_from_their_content(both, tmp_path):
    result, arrays = both.run(tmp_path / "runs")
    shuffled, _ = both.run(tmp_path / "runs", modality_corruption="shuffled")
    about, test = result["about"], result["test"]
    assert about["movies of both"] == SHARED - 1 and about["new movies"] == 40 and about["people"] == 50
    assert about["fields"] == ["audio"] and about["ratings"] == len(arrays["rating"])
    assert test["rmse"] < 0.9 < 1.2 < shuffled["test"]["rmse"]
    assert test["ndcg@10"] > shuffled["test"]["ndcg@10"]
    assert test["genre_map"] > 0.95 > 0.8 > shuffled["test"]["genre_map"]
    asked = both.ratings[both.ratings["item_id:token"].str[1:].astype(int) >= SHARED]
    wanted = {(row[1], f"other: {row[2]}"): row[3] for row in asked.itertuples()}
    pairs = zip(np.char.decode(arrays["user"]).tolist(), np.char.decode(arrays["item"]).tolist())
    assert dict(zip(pairs, arrays["rating"].tolist())) == wanted
    assert test["rmse"] == pytest.approx(np.sqrt(((arrays["predicted"] - arrays["rating"]) ** 2).mean()), abs=1e-4)
    assert test["ndcg@10"] == pytest.approx(arrays["ndcg@10"].mean(), abs=1e-4)


def test_lists_are_judged_as_a_loop_over_people_judges_them(both, tmp_path):
    """The model of the run, asked for one person after the other."""
    _, arrays = both.run(tmp_path / "runs")
    given = both.cell(tmp_path).arguments()
    session = fit_model(Config(arguments=given))[1]
    recommender = Recommender(session.model, ServedData.of_run(session.split.train, session.split, session.config))
    theirs, ours = (load_field_encoder(encoder_path(both.folder.parent / name, name, "audio")) for name in NAMES)
    new = both.tokens[SHARED:]
    vectors = ours.components(theirs.components.raw_of(theirs(raw_of(both.kind, 2))))[SHARED:]
    recommender.add_movies({"title": new, "audio": list(np.round(vectors, 6))})
    table = both.ratings.set_index("user_id:token")
    for person in ("p0", "p1", "p17"):
        rated = dict(zip(table.loc[person, "item_id:token"], table.loc[person, "rating:float"]))
        known = {int(movie[1:]): rating for movie, rating in rated.items() if int(movie[1:]) < SHARED - 1}
        # m0 and m1 have one title and year: the first counts.
        ratings = {f"m{number + 1 if number else 0}": rating for number, rating in known.items()}
        wanted = set(rated) & set(new)
        found = recommender.recommend_for(ratings=ratings, k=10, among=new)["item_id"]
        gains = [1 / np.log2(rank + 2) for rank, movie in enumerate(found) if movie in wanted]
        best = sum(1 / np.log2(rank + 2) for rank in range(min(len(wanted), 10)))
        place = np.flatnonzero(arrays["ranked_user"] == person.encode())[0]
        assert arrays["ndcg@10"][place] == pytest.approx(sum(gains) / best, abs=0.02)
        assert arrays["recall@10"][place] == pytest.approx(len(gains) / len(wanted), abs=0.02)


def test_ratings_of_new_movies_change_no_prediction(both, tmp_path):
    """They are what is asked for: only the ratings of shared movies tell of a person."""
    _, before = both.run(tmp_path / "before")
    is_new = both.ratings["item_id:token"].str[1:].astype(int) >= SHARED
    both.ratings.loc[is_new, "rating:float"] = 6 - both.ratings.loc[is_new, "rating:float"]
    both.write()
    _, after = both.run(tmp_path / "after")
    assert (after["rating"] != before["rating"]).any()
    np.testing.assert_array_equal(after["predicted"], before["predicted"])
    np.testing.assert_array_equal(after["ndcg@10"], before["ndcg@10"])


def test_components_of_the_other_data_are_turned_into_those_of_the_training(both):
    raw = raw_of(both.kind, 2)
    ours, theirs = (
        load_field_encoder(encoder_path(both.folder.parent / name, name, "audio")) for name in ("planted", "other")
    )
    assert np.abs(ours(raw) - theirs(raw)).max() > 0.5  # they do differ
    inside = ((raw >= theirs.components.rotation.low) & (raw <= theirs.components.rotation.high)).all(1)
    found = ours.components(theirs.components.raw_of(theirs(raw)))
    np.testing.assert_allclose(found[inside], ours(raw)[inside], atol=5e-3)  # three components hold nearly all
    assert inside.sum() > 40


def test_what_the_other_data_hold_is_in_the_key(both, tmp_path):
    before = both.cell(tmp_path).file.name
    assert both.cell(tmp_path).file.name == before
    both.ratings.loc[0, "rating:float"] = 3.0
    both.write()
    assert both.cell(tmp_path).file.name != before


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"to": None}, "needs the option to, the name of another data set"),
        ({"to": "planted"}, "needs the option to, the name of another data set"),
        ({"metrics": ["rated_ndcg"]}, "cannot measure rated_ndcg; leave it out of metrics"),
        ({"metrics": ["NDCG", "GiniIndex"]}, "cannot measure GiniIndex; leave it out of metrics"),
        ({"modalities": ["text"]}, "no field that the model reads has an encoder of the same raw vectors"),
    ],
)
def test_what_cannot_be_transferred_is_an_error_before_any_training(both, tmp_path, monkeypatch, changes, message):
    monkeypatch.setattr(transfer, "fit_model", None)
    assert message in (run_cell(both.cell(tmp_path, **changes)) or "")


def test_another_scale_of_ratings_is_an_error(both, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "fit_model", None)
    both.ratings["rating:float"] *= 2
    both.write()
    assert "its highest rating is 10, that of the training 5" in run_cell(both.cell(tmp_path))


def test_data_are_read_where_a_config_file_says_that_they_are(both, tmp_path, monkeypatch):
    """The key of the cell is made of these files, too."""
    monkeypatch.chdir(both.folder.parent.parent)
    options = both.planted.options(epochs=1, modalities=["audio"])
    elsewhere = Path("elsewhere")
    both.folder.parent.rename(elsewhere)
    Path("own.yaml").write_text(yaml.safe_dump({**options, "data_path": str(elsewhere)}))
    given = {"model": "MMFS", "config_files": "own.yaml", "tool": "transfer", "to": "other"}
    given |= {"metrics": ["RMSE", "genre_map"]}
    cell = make_cell("MMFS", both.planted.name, given, "u1", 1, tmp_path)
    assert run_cell(cell) is None and json.loads(cell.file.read_text())["about"]["new movies"] == 40


@pytest.mark.parametrize("dataset", ["mmtf-14k-small", "ml-100k-mm"])
def test_without_another_data_set_the_suite_is_left_out_of_all(tmp_path, monkeypatch, dataset):
    def find(name, folders):
        if name == "mmtf-14k-small" != dataset:
            raise InputError("no ratings of mmtf-14k-small")

    for module in (suites, rows):
        monkeypatch.setattr(module, "find_data", find)
    with pytest.raises(NotInDataError, match="suite 'transfer' takes models to mmtf-14k-small"):
        suites.run_suite("transfer", dataset, tmp_path)
