"""What is in the files is what is trained on: nothing is lost, cut or filled in without a word."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recbole_mm.config.config import Config
from recbole_mm.data.vectors import write_vectors
from recbole_mm.errors import InputError
from recbole_mm.evaluation.metrics import rated_metrics
from recbole_mm.training.session import prepare_data, prepare_session


def load(planted, model="MMFS", **options):
    given = planted.options(**options) if model.startswith("MM") else planted.data_options(**options)
    return prepare_data(Config(model, planted.name, config_dict=given))


def lines_of(planted, kind: str) -> tuple[Path, list[str]]:
    path = planted.folder / f"planted.{kind}"
    return path, path.read_text().splitlines()


def change(planted, kind: str, line: int, old: str, new: str) -> None:
    """Replace a text on one line (from 1) of a file."""
    path, lines = lines_of(planted, kind)
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new, 1)
    path.write_text("\n".join(lines) + "\n", newline="")


def write_users(planted, users: int = 60, header="user_id:token\tage:float") -> None:
    rows = "".join(f"u{user}\t{20 + user}\n" for user in range(users))
    (planted.folder / "planted.user").write_text(f"{header}\n{rows}")


WITH_USERS = {
    "load_col": {
        "inter": ["user_id", "item_id", "rating", "timestamp"],
        "item": ["item_id", "movie_title", "release_year", "class"],
        "user": ["user_id", "age"],
    }
}


@pytest.mark.parametrize("model", ["MMFS", "BPR"])
def test_quotation_marks_in_titles_swallow_no_rows(planted, model):
    change(planted, "item", 5, "Movie", '"Movie')
    change(planted, "item", 60, "Movie", '"Movie')
    change(planted, "item", 61, "number", '"number"')
    dataset, _ = load(planted, model)
    ids = dataset.field2token_id["item_id"]
    assert len(dataset) == 1800 and len(ids) == 91
    if model == "MMFS":
        titles = dataset.titles()
        assert titles[ids["m3"]] == '"Movie number 3' and titles[ids["m59"]] == 'Movie "number" 59'


def test_fields_of_a_csv_writer_are_warned_of(planted, caplog):
    change(planted, "item", 5, "Movie number 3", '"He said ""no"""')
    load(planted)
    assert "values that look written by a CSV writer: 1, first line 5" in caplog.text
    assert "QUOTE_NONE" in caplog.text


@pytest.mark.parametrize("name", ["null", "NA", "nan", "None", "N/A", ""])
def test_words_for_nothing_are_ids_like_any_other(planted, name):
    for column, token in (("user_id:token", "u3"), ("item_id:token", "m5")):
        planted.ratings[column] = planted.ratings[column].replace(token, name)
    planted.item_columns["item_id:token"] = [name if token == "m5" else token for token in planted.tokens]
    planted.write()
    for field in ("text", "audio"):
        path = planted.folder / f"planted.{field}"
        path.write_text(path.read_text().replace("\nm5\t", f"\n{name or 'm5'}\t"))
    if not name:
        with pytest.raises(InputError, match=r"planted.inter: line \d+: user_id is empty"):
            load(planted)
        return
    dataset, split = load(planted)
    assert len(dataset) == 1800 and name in dataset.field2token_id["user_id"]
    assert sum(len(part) for part in (split.train, split.valid, split.test)) == 1800


def test_titles_called_none_are_titles(planted):
    for line, word in ((5, "None"), (6, "NA"), (7, "null")):
        change(planted, "item", line, f"Movie number {line - 2}", word)
    dataset, _ = load(planted)
    ids, titles = dataset.field2token_id["item_id"], dataset.titles()
    assert [titles[ids[token]] for token in ("m3", "m4", "m5")] == ["None", "NA", "null"]


@pytest.mark.parametrize("model", ["MMFS", "BPR", "DeepFM"])
def test_rated_movies_and_users_without_a_row_keep_their_ratings(planted, caplog, model):
    path, lines = lines_of(planted, "item")
    path.write_text("\n".join(lines[:71]) + "\n")
    write_users(planted, 50)
    dataset, _ = load(planted, model, **WITH_USERS)
    assert len(dataset) == 1800 and dataset.item_num == 91 and dataset.user_num == 61
    told = [record.getMessage() for record in caplog.records if "no row for" in record.getMessage()]
    assert len(told) == 2
    assert any("planted.user: no row for 10 of the 60 ids of user_id" in line for line in told)
    assert any("planted.item: no row for 20 of the 90 ids of item_id" in line for line in told)


def test_rows_that_a_filter_leaves_out_are_said(planted, caplog):
    path, lines = lines_of(planted, "item")
    path.write_text("\n".join(lines[:71]) + "\n")
    dataset, _ = load(planted, filter_inter_by_user_or_item=True)
    lost = 1800 - len(dataset)
    assert lost > 100
    assert f"{lost} of 1800 rows are left out by filter_inter_by_user_or_item" in caplog.text


def test_a_row_that_is_lost_otherwise_is_an_error(planted, monkeypatch):
    from recbole.data.dataset import Dataset

    read = Dataset._load_inter_feat

    def loses_one(self, *arguments):
        read(self, *arguments)
        self.inter_feat = self.inter_feat.drop(index=7).reset_index(drop=True)

    monkeypatch.setattr(Dataset, "_load_inter_feat", loses_one)
    with pytest.raises(
        InputError, match=r"planted.inter: 1799 of 1800 rows were loaded.*first lost row is row 8 \(user"
    ):
        load(planted)


@pytest.mark.parametrize("way", [lambda item: f"{item} ", lambda item: f'"{item}"'])
def test_ids_written_in_two_ways_are_an_error(planted, way):
    planted.ratings["item_id:token"] = [
        way(item) if row % 3 == 0 else item for row, item in enumerate(planted.ratings["item_id:token"])
    ]
    lines = [
        "\t".join(planted.ratings.columns),
        *("\t".join(map(str, row)) for row in planted.ratings.itertuples(index=False)),
    ]
    (planted.folder / "planted.inter").write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match="planted.inter: item_id '.*m.*(differ by a space|has no row in planted.item)"):
        load(planted)


def test_ids_as_decimals_are_an_error(planted):
    numbers = {token: str(i) for i, token in enumerate(planted.tokens)}
    planted.item_columns["item_id:token"] = list(numbers.values())
    planted.ratings["item_id:token"] = [f"{numbers[token]}.0" for token in planted.ratings["item_id:token"]]
    planted.write()
    with pytest.raises(InputError, match=r"item_id '(\d+).0' has no row in planted.item, which has '\1'"):
        load(planted, "BPR")


def test_vectors_with_other_ids_are_an_error(planted):
    write_vectors(planted.folder / "planted.text", "text", [f"{t} " for t in planted.tokens], planted.text)
    with pytest.raises(InputError, match="item id 'm0 ' of the vector file is 'm0' in the dataset"):
        load(planted)


@pytest.mark.parametrize("protocol", ["ranking", "u1", "temporal"])
def test_a_pair_in_training_and_test_is_refused(planted, protocol):
    planted.ratings = pd.concat([planted.ratings, planted.ratings.iloc[:200]], ignore_index=True)
    planted.write()
    with pytest.raises(InputError, match=r"planted.inter: \d+ pairs of user and item .* first is user_id 'u"):
        load(planted, protocol=protocol)


def test_repeated_pairs_are_merged_or_said(planted, caplog):
    planted.ratings = pd.concat([planted.ratings, planted.ratings.iloc[:200]], ignore_index=True)
    planted.write()
    dataset, _ = load(planted, rm_dup_inter="last")
    assert len(dataset) == 1800 and "200 of 2000 rows are left out by rm_dup_inter" in caplog.text
    dataset, _ = load(planted, protocol="cold-item")
    assert len(dataset) == 2000 and "200 rows repeat a pair of user and item" in caplog.text


@pytest.mark.parametrize(
    "kind, line, old, new, message",
    [
        ("item", 8, "Movie number 6", "Movie\nnumber 6", r"planted.item: line 8 has 2 columns, the header has 4"),
        ("item", 8, "\tDrama", "", r"planted.item: line \d+ has 3 columns, the header has 4"),
        ("item", 8, "Movie", "Movie\0", r"planted.item: line 8 holds a NUL byte"),
        ("item", 8, "Movie", "Movie\r", r"planted.item: line 8 holds a carriage return"),
        ("item", 8, "m6", "", r"planted.item: line 8: item_id is empty"),
        ("item", 8, "m6", "  ", r"planted.item: line 8: item_id is empty"),
        ("inter", 9, "\t", "\0\t", r"planted.inter: line 9 holds a NUL byte"),
    ],
)
def test_broken_rows_are_named_by_line(planted, kind, line, old, new, message):
    _, lines = lines_of(planted, kind)
    if old == "\tDrama":
        line = next(number for number, text in enumerate(lines, 1) if text.endswith(old))
    change(planted, kind, line, old, new)
    with pytest.raises(InputError, match=message):
        load(planted)


@pytest.mark.parametrize("kind", ["inter", "item"])
def test_files_without_rows_are_named(planted, kind):
    path, lines = lines_of(planted, kind)
    path.write_text(lines[0])
    with pytest.raises(InputError, match=f"planted.{kind}: no row below the header"):
        load(planted)


def test_lines_are_counted_with_blank_ones(planted):
    path, lines = lines_of(planted, "inter")
    lines[500] = "u1\tm1\tbad\t1"
    path.write_text("\r\n".join([*lines[:100], "", "  ", *lines[100:], "", ""]))
    with pytest.raises(InputError, match="line 503: rating is 'bad'"):
        load(planted)
    path.write_text("\r\n".join([*lines[:100], "", "  ", *lines[100:500], *lines[501:], "", ""]))
    assert len(load(planted)[0]) == 1799


@pytest.mark.parametrize("text", ["1e39", "-1e39", "inf"])
def test_ratings_beyond_float32_are_an_error(planted, text):
    change(planted, "inter", 12, lines_of(planted, "inter")[1][11].split("\t")[2], text)
    with pytest.raises(InputError, match=rf"planted.inter: line 12: rating is '{text}'"):
        load(planted)


@pytest.mark.parametrize("text", ["", "NA", "nan", "inf", "2026-11-25", "2026-11-25T10:00:00", "9007199254740994"])
def test_a_time_that_orders_nothing_is_an_error_where_time_is_used(planted, text):
    _, lines = lines_of(planted, "inter")
    change(planted, "inter", 12, lines[11], "\t".join([*lines[11].split("\t")[:3], text]))
    with pytest.raises(InputError, match=rf"planted.inter: line 12: timestamp is '{text}', but orders the rows"):
        load(planted, protocol="temporal")
    if text.startswith("2026"):
        with pytest.raises(InputError, match=rf"planted.inter: line 12: timestamp is '{text}', but must be a number"):
            load(planted)
    else:
        assert len(load(planted)[0]) == 1800


def test_missing_numbers_of_users_are_said(planted, caplog):
    write_users(planted)
    change(planted, "user", 3, "21", "")
    load(planted, "DeepFM", **WITH_USERS)
    assert "planted.user: 1 of 60 rows have no age; they take the mean of the others" in caplog.text
    change(planted, "user", 4, "22", "old")
    with pytest.raises(InputError, match="planted.user: line 4: age is 'old', but must be a number or empty"):
        load(planted, "DeepFM", **WITH_USERS)


@pytest.mark.parametrize(
    "option, message",
    [
        ({"benchmark_filename": ["train"]}, "option 'benchmark_filename'.*three files"),
        ({"eval_args": {"split": {"RS": [0.8, 0.2]}, "order": "TO"}}, "split RS is .*three parts"),
        ({"eval_args": {"split": {"RS": ["a", 0.2]}}}, "split RS is .*three parts"),
        ({"eval_args": {"split": {"LS": "test_only"}}}, "LS: valid_and_test"),
        ({"eval_args": {"split": {"TS": [0.8, 0.1, 0.1]}}}, "order: TO"),
    ],
)
def test_a_run_needs_three_parts(planted, option, message):
    with pytest.raises(InputError, match=message):
        load(planted, **option)


def test_data_split_in_two_take_the_validation_part_from_the_training_rows(planted, caplog):
    path, lines = lines_of(planted, "inter")
    for name, rows in {"train": lines[1:1501], "test": lines[1501:]}.items():
        path.with_name(f"planted.{name}.inter").write_text("\n".join([lines[0], *rows]) + "\n")
    _, whole = load(planted, benchmark_filename=["train", "test"])
    assert [len(part) for part in (whole.train, whole.valid, whole.test)] == [1350, 150, len(lines) - 1501]
    assert "150 of the 1,500 training rows, drawn at random, are the validation part" in caplog.text
    _, again = load(planted, benchmark_filename=["train", "test"], seed=1)
    assert not again.valid.inter_feat["item_id"].equal(whole.valid.inter_feat["item_id"])
    assert again.test.inter_feat["item_id"].equal(whole.test.inter_feat["item_id"])
    _, two = load(planted, eval_args={"split": {"RS": [0.8, 0.2]}})
    assert len(two.test) == round(0.2 * (len(lines) - 1)) and len(two.valid) == round(0.1 * 0.8 * (len(lines) - 1))


def test_pairs_in_two_files_of_a_split_are_refused(planted):
    path, lines = lines_of(planted, "inter")
    cuts = {"train": lines[1:1500], "valid": lines[1500:1650], "test": lines[1650:]}
    for name, rows in cuts.items():
        path.with_name(f"planted.{name}.inter").write_text("\n".join([lines[0], *rows]) + "\n")
    _, split = load(planted, benchmark_filename=["train", "valid", "test"])
    assert [len(part) for part in (split.train, split.valid, split.test)] == [1499, 150, 151]
    path.with_name("planted.test.inter").write_text("\n".join([lines[0], *cuts["test"], lines[1]]) + "\n")
    with pytest.raises(InputError, match=r"planted.inter: 1 pairs of user and item .* from the file"):
        load(planted, benchmark_filename=["train", "valid", "test"])


@pytest.mark.parametrize("written", ["{}|{}", "{},{}", "{}, {}", "{} | {}", "{} {}"])
def test_genres_between_bars_commas_or_spaces(planted, caplog, written):
    genres = planted.item_columns["class:token_seq"]
    planted.item_columns["class:token_seq"] = [written.format("War", genre) for genre in genres]
    planted.write()
    with caplog.at_level(logging.INFO):
        dataset, _ = load(planted)
    assert dataset.labels["genre"].names == ["Action", "Comedy", "Drama", "War"]
    assert "genres: Action 30, Comedy 30, Drama 30, War 90" in caplog.text


def test_words_of_a_genre_between_bars_stay_together(planted):
    genres = planted.item_columns["class:token_seq"]
    planted.item_columns["class:token_seq"] = [f"Science Fiction|{g}" for g in genres[:-1]] + ["(no genres listed)"]
    planted.write()
    names = load(planted)[0].labels["genre"].names
    assert names == ["Action", "Comedy", "Drama", "Science Fiction"]


@pytest.mark.parametrize(
    "texts, message",
    [(["['Action', 'War']"], "a list in brackets"), (["Action|Drama", "Drama Action"], "several genres")],
)
def test_genres_that_cannot_be_split_are_refused(planted, texts, message):
    planted.item_columns["class:token_seq"][: len(texts)] = texts
    planted.write()
    with pytest.raises(InputError, match=f"planted.item: field 'class' .*{message}"):
        load(planted)


def check_order(split, times: dict[tuple[str, str], tuple[int, int]]) -> None:
    """No row of a user is later than one of a later part; equal times in file order."""
    last: dict[str, tuple[int, int]] = {}
    for part in (split.train, split.valid, split.test):
        users, items = (part.field2id_token[field][part.inter_feat[field].numpy()] for field in ("user_id", "item_id"))
        own = [(user, times[user, item]) for user, item in zip(users, items)]
        assert all(last.get(user, (-1, -1)) < time for user, time in own)
        for user, time in own:
            last[user] = max(last.get(user, (-1, -1)), time)


@pytest.mark.parametrize("unit", [1, 1000])
@pytest.mark.parametrize("model", ["MMFS", "BPR"])
def test_no_user_of_movielens_trains_on_a_later_row(ml_100k_mm, model, unit):
    path = ml_100k_mm / "ml-100k-mm" / "ml-100k-mm.inter"
    rows = pd.read_csv(path, sep="\t", dtype=str)
    rows["timestamp:float"] = (rows["timestamp:float"].astype("int64") * unit).astype(str)
    if unit > 1:
        rows.to_csv(path, sep="\t", index=False)
    pairs = zip(rows["user_id:token"], rows["item_id:token"])
    times = {pair: (int(time), row) for row, (pair, time) in enumerate(zip(pairs, rows["timestamp:float"]))}
    options = {"protocol": "temporal", "gpu_id": "", "data_path": str(path.parent.parent)}
    if model == "MMFS":
        options["modalities"] = ["meta"]
    _, split = prepare_data(Config(model, "ml-100k-mm", config_dict=options))
    assert sum(len(part) for part in (split.train, split.valid, split.test)) == 100_000
    check_order(split, times)


def test_microseconds_are_exact_too(planted):
    start = 1_700_000_000_000_000
    planted.ratings["timestamp:float"] = [f"{start + int(time)}" for time in planted.ratings["timestamp:float"]]
    planted.write()
    _, split = load(planted, protocol="temporal")
    rows = zip(*(planted.ratings[name] for name in ("user_id:token", "item_id:token", "timestamp:float")))
    check_order(split, {(user, item): (int(time), row) for row, (user, item, time) in enumerate(rows)})


def test_vectors_of_a_session_are_those_of_the_file(planted):
    session = prepare_session(Config("MMFS", planted.name, config_dict=planted.options()))
    ids = session.split.train.field2token_id["item_id"]
    values = session.split.train.modalities["text"].values.numpy()
    np.testing.assert_allclose(values[[ids[token] for token in planted.tokens]], planted.text, rtol=1e-5)


def test_numbers_of_listens_have_a_rated_ndcg():
    users, counts = np.repeat([0, 1], 4), np.array([4000.0, 10, 3, 1, 2, 5000, 7, 1])
    found = rated_metrics([2], users, counts, counts)
    assert found["rated_ndcg@2"] == pytest.approx(1.0) and 0 < found["rated_ndcg@2_random"] < 1
