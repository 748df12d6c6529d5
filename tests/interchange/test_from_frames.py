"""`from_frames`: frames and arrays of a program to a data set that trains."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import recbole_mm
from recbole_mm.config.config import Config
from recbole_mm.data.atomic import check_atomic_files
from recbole_mm.data.vectors import read_vectors
from recbole_mm.errors import InputError
from recbole_mm.interchange.from_frames import from_frames, to_pandas
from recbole_mm.training.session import prepare_data

SMALL = {"epochs": 1, "embedding_size": 8, "rating_hidden_size": 8, "show_progress": False, "gpu_id": ""}


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def ratings(users: int = 40, items: int = 60, rows: int = 900, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    pairs = random.permutation(users * items)[:rows]
    return pd.DataFrame(
        {"userId": pairs // items + 1, "movieId": pairs % items + 100, "rating": random.integers(1, 6, rows)}
    )


def movies(items: int = 60, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    genres = random.choice(["Action|Science Fiction", "Comedy", "Drama|Comedy"], items)
    titles = [f'The "{i}" of\tfilms, a story' for i in range(items)]
    return pd.DataFrame({"movieId": range(100, 100 + items), "title": titles, "genres": genres})


def opened(name: str, model: str = "MMFS", **options):
    config = Config(model, name, config_dict={"show_progress": False, "state": "ERROR", **options})
    return prepare_data(config)


def test_frames_become_a_data_set_that_trains():
    matrix = np.random.default_rng(1).normal(size=(60, 5))
    imported = from_frames(ratings(), movies(), vectors={"text": (movies()["movieId"], matrix)}, name="mine")
    assert imported.folder.name == "mine" and "genres, split at '|': 4: Comedy" in str(imported)
    dataset, split = opened("mine")
    assert len(split.train) + len(split.valid) + len(split.test) == 900
    assert dataset.labels["genre"].names == ["Action", "Comedy", "Drama", "Science-Fiction"]
    assert dataset.titles()[dataset.field2token_id["item_id"]["107"]] == 'The "7" of films, a story'
    of_item = dataset.field2token_id["item_id"]["103"]
    np.testing.assert_allclose(dataset.modalities["text"].values[of_item], matrix[3], rtol=1e-5)
    result = recbole_mm.run("MMASP", "mine", config_dict=SMALL)
    assert {"rmse", "ndcg@10", "genre_map"} <= set(result.test)


def test_every_rating_reaches_the_file():
    given = ratings()
    from_frames(given, name="plain")
    dataset, _ = opened("plain", modalities=[])
    rows = dataset.inter_feat
    told = {
        (dataset.field2id_token["user_id"][u], dataset.field2id_token["item_id"][i]): r
        for u, i, r in zip(rows["user_id"].tolist(), rows["item_id"].tolist(), rows["rating"].tolist())
    }
    assert told == {(str(u), str(i)): r for u, i, r in given.itertuples(index=False)}


def test_rows_are_in_random_order_so_that_folds_are_random_parts():
    from_frames(ratings().sort_values("userId"), name="sorted")
    users = pd.read_csv("dataset/sorted/sorted.inter", sep="\t")["user_id:token"]
    assert not users.is_monotonic_increasing and users[:180].nunique() > 30


@pytest.mark.parametrize("model", ["MMFS", "LightGCN"])
def test_without_ratings_and_genres_the_ranking_is_learned(model):
    from_frames(ratings()[["userId", "movieId"]], name="implicit")
    result = recbole_mm.run(model, "implicit", config_dict={"epochs": 1, "show_progress": False, "gpu_id": ""})
    assert "ndcg@10" in result.test and "rmse" not in result.test and "genre_map" not in result.test


def test_ratings_that_are_all_one_are_left_out():
    imported = from_frames(ratings().assign(rating=1), name="ones")
    assert "all are 1, so they are left out" in str(imported)
    assert "rating" not in (imported.folder / "ones.inter").read_text().splitlines()[0]


def test_other_libraries_frames_and_dicts():
    arrow = pytest.importorskip("pyarrow", reason="pyarrow (extra 'import') is not installed")
    frame = ratings(rows=50)

    class Exchanged:
        """What any library gives."""

        def __dataframe__(self, *given, **options):
            return frame.__dataframe__(*given, **options)

    for other in (arrow.Table.from_pandas(frame), Exchanged(), frame.to_dict("list")):
        pd.testing.assert_frame_equal(to_pandas(other, "ratings"), frame, check_dtype=False)
    with pytest.raises(InputError, match="ratings: is a int, but must be"):
        to_pandas(7, "ratings")


def test_vectors_in_every_form():
    ids, matrix = np.arange(100, 160), np.random.default_rng(1).normal(size=(60, 3)).astype(np.float32)
    frame = pd.DataFrame({"movieId": ids, "vector": list(matrix)})
    forms = {
        "pair": (ids, matrix),
        "lists": (ids.tolist(), matrix.tolist()),
        "dict": dict(zip(ids.tolist(), matrix)),
        "frame": frame,
        "columns": pd.DataFrame(matrix, columns=list("abc")).assign(item_id=ids),
    }
    from_frames(ratings(), vectors=forms, name="forms")
    for field in forms:
        table = read_vectors(Path("dataset/forms"), "forms", field)
        assert table.item_ids.tolist() == [str(one) for one in ids]
        np.testing.assert_array_equal(table.values, matrix)


def test_missing_vectors_are_missing_not_zero():
    matrix = np.ones((60, 3)) * np.arange(1, 61)[:, None]
    matrix[0], matrix[1, 2], matrix[2, 0] = 0, np.nan, np.inf
    imported = from_frames(ratings(), vectors={"text": (np.arange(100, 160), matrix)}, name="holes")
    assert "57 of 60 items have a vector, 3-d; 2 with inf or nan left out; 1 all zero left out" in str(imported)
    dataset, _ = opened("holes")
    assert int(dataset.modalities["text"].present.sum()) == 57


def test_a_published_split_is_kept_and_no_model_sees_it():
    given = ratings().assign(split=np.random.default_rng(2).choice(["train", "val", "test"], 900, p=[0.8, 0.1, 0.1]))
    from_frames(given, name="fixed")
    for model in ("MMFS", "FM", "LightGCN"):
        dataset, split = opened("fixed", model)
        for part, word in ((split.train, "train"), (split.valid, "val"), (split.test, "test")):
            rows = part.inter_feat
            got = sorted(
                zip(
                    dataset.field2id_token["user_id"][rows["user_id"].numpy()].tolist(),
                    dataset.field2id_token["item_id"][rows["item_id"].numpy()].tolist(),
                )
            )
            wanted = given[given["split"] == word]
            assert got == sorted(zip(wanted["userId"].astype(str), wanted["movieId"].astype(str)))
            assert "x_label" not in rows.columns and "x_label" not in dataset.field2type
    _, other = opened("fixed", protocol="ranking")
    assert len(other.test) != int((given["split"] == "test").sum())


def test_repeated_pairs_keep_the_last_by_time():
    given = pd.DataFrame(
        {"user": ["a", "a", "b", "a"], "item": ["x", "x", "x", "y"], "rating": [1, 5, 3, 2], "time": [20, 10, 5, 5]}
    )
    imported = from_frames(given, name="twice")
    assert "1 rows repeat a pair of user and item (first: user 'a', item 'x')" in str(imported)
    written = pd.read_csv(imported.folder / "twice.inter", sep="\t")
    assert written[(written["user_id:token"] == "a") & (written["item_id:token"] == "x")]["rating:float"].tolist() == [
        1
    ]


def test_dates_become_seconds():
    frame = pd.DataFrame({"user": [1, 2], "item": [1, 2], "date": ["1970-01-01T00:01:00", "1970-01-02"]})
    folder = from_frames(frame, name="dates").folder
    assert sorted(pd.read_csv(folder / "dates.inter", sep="\t")["timestamp:float"]) == [60, 86400]
    frame["date"] = pd.to_datetime(frame["date"], format="ISO8601")
    folder = from_frames(frame, name="dates", force=True).folder
    assert sorted(pd.read_csv(folder / "dates.inter", sep="\t")["timestamp:float"]) == [60, 86400]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda r: r.rename(columns={"userId": "who"}),
            "ratings: no column is recognised as the user.*--columns user=",
        ),
        (lambda r: r.assign(asin=1), "ratings: columns movieId, asin could each be the item"),
        (
            lambda r: r.assign(rating=["x", *r["rating"][1:]]),
            "ratings: row 0: column 'rating' is 'x', which is no number",
        ),
        (lambda r: r.assign(rating=[np.nan, *r["rating"][1:]]), "ratings: row 0: column 'rating' is 'nan'"),
        (lambda r: r.assign(userId=[None, *r["userId"][1:]]), "ratings: row 0: column 'userId': the id is empty"),
        (lambda r: r.assign(userId=["a\tb", *r["userId"][1:]]), r"row 0: column 'userId': the id 'a\\tb' holds a tab"),
        (lambda r: r.assign(userId=["[PAD]", *r["userId"][1:]]), "row 0.*RecBole's own word"),
        (lambda r: r.assign(split=["3", *["0"] * 899]), "row 0: column 'split' is '3', but a part is 0, 1, 2"),
        (lambda r: r.assign(split="train"), "gives no row to the test part"),
        (lambda r: r.assign(time=["soon", *["1"] * 899]), "row 0: column 'time' is 'soon', but a time is"),
        (lambda r: r.assign(time=10**18), "row 0: column 'time'.*at most 2"),
        (lambda r: r[:0], "ratings: has no row"),
    ],
)
def test_wrong_ratings_name_row_and_column(change, message, tmp_path):
    with pytest.raises(InputError, match=message):
        from_frames(change(ratings()), name="wrong")
    assert not (tmp_path / "dataset").exists() or not list((tmp_path / "dataset").iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"items": movies().assign(movieId=range(60))}, "items: none of its 60 items is in the ratings"),
        ({"items": movies().assign(movieId=[f"{i}.0" for i in range(100, 160)])}, "items: has '.*', which the ratings"),
        ({"items": pd.concat([movies(), movies()[:1]])}, "items: row 60: '100' is there already .items: row 0."),
        ({"vectors": {"text": (range(60), np.ones((60, 2)))}}, r"vectors\['text'\]: none of the 60 items"),
        ({"vectors": {"text": (range(100, 160), np.ones((59, 2)))}}, "has 59 rows, but the first of the pair has 60"),
        ({"vectors": {"text": (range(100, 160), np.ones(60))}}, "must be a matrix of numbers"),
        ({"vectors": {"text": ([100, 100], [[1.0], [2.0]])}}, "has item '100' twice"),
        ({"vectors": {"text": ([100, 101], [[1.0], [2.0, 3.0]])}}, "row 1 has 2 values, the first row has 1"),
        ({"vectors": {"item": (range(100, 160), np.ones((60, 2)))}}, "'item' is no name of a field"),
        ({"vectors": {"text": np.ones((60, 2))}}, r"vectors\['text'\]: takes \(item ids, matrix\)"),
        ({"columns": {"userr": "userId"}}, "columns: 'userr' is none of.*Did you mean 'user'"),
        ({"columns": {"user": "userID"}}, "there is no column 'userID'.*Did you mean 'userId'"),
        ({"columns": {"item": "userId", "user": "userId"}}, "column 'userId' is both"),
        ({"name": "../up"}, "'../up' is no name"),
        ({"name": "ml-100k-mm"}, "is a data set of the package"),
        ({"like_threshold": 9.0}, "the ratings go from 1 to 5"),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(InputError, match=message):
        from_frames(ratings(), **{"name": "wrong", **options})


def test_a_data_set_is_replaced_only_when_asked(tmp_path):
    folder = from_frames(ratings(), name="mine").folder
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="holds mine.inter, mine.item, mine.yaml already.*--force"):
        from_frames(ratings(rows=100), name="mine")
    from_frames(ratings(rows=100), name="mine", force=True)
    assert len((folder / "mine.inter").read_text().splitlines()) == 101
    assert (folder / "notes.txt").read_text() == "mine"
    assert [path.name for path in (tmp_path / "dataset").iterdir()] == ["mine"]


IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


@given(st.lists(st.tuples(IDS, IDS), min_size=1, max_size=12, unique=True))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_any_ids_are_kept_or_refused(pairs):
    """Every id reaches RecBole as it is, without spaces around it; or one error says which row is wrong."""
    frame = pd.DataFrame(pairs, columns=["user", "item"])
    try:
        imported = from_frames(frame, name="any", force=True)
    except InputError as error:
        refusal = str(error)
    else:
        refusal = ""
    if refusal:
        assert "ratings: row" in refusal
        return
    lines = (imported.folder / "any.inter").read_text(encoding="utf-8").split("\n")[1:-1]
    told = {tuple(line.split("\t")) for line in lines}
    assert told == {(user.strip(), item.strip()) for user, item in pairs}
    config = Config("Pop", "any", config_dict={"state": "ERROR", "show_progress": False})
    assert sum(check_atomic_files(config).inter.values()) == len(told)
