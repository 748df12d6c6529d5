from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recbole_mm.cli.main import main
from recbole_mm.inference import histories_file


@pytest.fixture
def command(checkpoint_of, tmp_path, monkeypatch, capsys):
    """``command(*options, model=…)``: status and the last line."""
    checkpoint = checkpoint_of("MMASP")
    monkeypatch.chdir(tmp_path)

    def call(*options: str, of: str = checkpoint) -> tuple[int, str]:
        capsys.readouterr()
        status = main(["recommend", f"--checkpoint={of}", *options])
        out, err = capsys.readouterr()
        return status, (out or err).splitlines()[-1]

    return call


def files_of(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def written_people(recommender, path: str, with_ratings: bool = True) -> dict[str, pd.DataFrame]:
    random, tokens = np.random.default_rng(3), recommender.movies["item_id"].to_numpy()
    people = {}
    for number in range(23):
        movies = random.choice(tokens, random.integers(1, 12), replace=False)
        people[f"p{number}"] = pd.DataFrame(
            {"item_id": movies, "rating": random.integers(1, 6, len(movies)).astype(float)}
        )
    table = pd.concat([rows.assign(user_id=name, other="x") for name, rows in people.items()])
    table = table if with_ratings else table.drop(columns="rating")
    table.to_csv(path, index=False) if path.endswith("csv") else table.to_parquet(path, index=False)
    return people


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize("source", ["all", "users"])
def test_shards_together_are_one_run(command, recommender, form, source):
    pytest.importorskip("pyarrow", reason="the extra 'import' is not installed")
    written_people(recommender, f"people.{form}")
    options = ["--all" if source == "all" else f"--users=people.{form}", "--k=4", "--batch_size=5", f"--format={form}"]
    assert command(*options, "--out=whole")[0] == 0
    for shard in ("1/3", "0/3", "2/3"):
        assert command(*options, "--out=shards", f"--shard={shard}")[0] == 0
    whole, shards = files_of("whole"), files_of("shards")
    assert len(whole) == 1 + (12 if source == "all" else 5)
    assert whole == shards


def test_lists_of_all_users_are_the_recommenders(command, recommender):
    assert command("--all", "--out=lists", "--batch_size=7", "--k=6") == (
        0,
        "lists: 9 files written for 60 people; 0 were there",
    )
    found = pd.concat([pd.read_csv(path) for path in sorted(Path("lists").glob("*.csv"))], ignore_index=True)
    expected = recommender.recommend(recommender.users, k=6).drop(columns=["title", "year"])
    pd.testing.assert_frame_equal(found, expected, rtol=1e-4, check_dtype=False)


@pytest.mark.parametrize("rows", [7, 1_000_000])
@pytest.mark.parametrize("form, with_ratings", [("csv", True), ("parquet", True), ("csv", False)])
def test_lists_of_people_are_the_recommenders(command, recommender, monkeypatch, tmp_path, rows, form, with_ratings):
    """From a file without histories, with parts of the file that end amid a person."""
    pytest.importorskip("pyarrow", reason="the extra 'import' is not installed")
    monkeypatch.setattr(histories_file, "_ROWS_AT_ONCE", rows)
    people = written_people(recommender, f"people.{form}", with_ratings)
    recommender.save(tmp_path / "model.safetensors")
    status, line = command(
        f"--users=people.{form}", "--out=lists", "--batch_size=4", of=str(tmp_path / "model.safetensors")
    )
    assert (status, line) == (0, "lists: 6 files written for 23 people; 0 were there")
    found = pd.concat([pd.read_csv(path) for path in sorted(Path("lists").glob("*.csv"))], ignore_index=True)
    assert found["user_id"].drop_duplicates().tolist() == list(people)
    for name, of_person in found.groupby("user_id"):
        ratings = dict(zip(people[name]["item_id"], people[name]["rating"] if with_ratings else [5.0] * 99))
        expected = recommender.recommend_for(ratings=ratings).drop(columns=["title", "year"])
        of_person = of_person.drop(columns="user_id").reset_index(drop=True)
        pd.testing.assert_frame_equal(of_person, expected, rtol=1e-4, check_dtype=False)


def test_what_is_there_is_not_written_again(command, recommender, monkeypatch):
    options = ("--all", "--out=lists", "--batch_size=20")
    calls = []
    ranked = type(recommender).recommend

    def stops(self, *given, **named):
        calls.append(len(given[0]))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return ranked(self, *given, **named)

    monkeypatch.setattr(type(recommender), "recommend", stops)
    assert command(*options)[0] == 130
    assert sorted(os.listdir("lists")) == ["part-000000.csv", "recommendations.json"], "no half of a file"
    first = os.stat("lists/part-000000.csv").st_mtime_ns
    assert command(*options) == (0, "lists: 2 files written for 40 people; 1 were there")
    assert os.stat("lists/part-000000.csv").st_mtime_ns == first and calls == [20, 20, 20, 20]
    assert command(*options) == (0, "lists: 0 files written for 0 people; 3 were there")


def test_a_folder_holds_the_lists_of_one_job(command, recommender):
    assert command("--all", "--out=lists")[0] == 0
    for other in ("--k=3", "--batch_size=3", "--format=parquet"):
        status, line = command("--all", "--out=lists", other)
        assert status == 2 and "recommendations of another model, other people or other options" in line, other
    written_people(recommender, "people.csv")
    assert command("--users=people.csv", "--out=lists")[0] == 2
    os.remove("lists/recommendations.json")
    assert "has part-000000.csv but no recommendations.json" in command("--all", "--out=lists")[1]


@pytest.mark.parametrize(
    "options, message",
    [
        (["--all"], "give --out=FOLDER"),
        (["--all", "--out=x", "--user=u1"], "--user cannot be given with --all"),
        (["--users=p.csv", "--out=x", "--json"], "--json cannot be given with --users"),
        (["--all", "--users=p.csv", "--out=x"], "--users cannot be given with --all"),
        (["--user=u1", "--shard=0/2"], "--shard is for lists for everybody"),
        (["--all", "--out=x", "--shard=2/2"], "shard: '2/2', but must be such as 0/4"),
        (["--all", "--out=x", "--shard=-1/2"], "shard: '-1/2'"),
        (["--all", "--out=x", "--shard=a"], "shard: 'a'"),
        (["--all", "--out=x", "--batch_size=0"], "must be at least 1"),
        (["--all", "--out=x", "--k=0"], "must be at least 1"),
        (["--users=none.csv", "--out=x"], "none.csv: cannot be read"),
    ],
)
def test_options_that_do_not_go_together(command, options, message):
    status, line = command(*options)
    assert status == 2 and message in line
    assert not Path("x").exists()


@pytest.mark.parametrize(
    "content, message",
    [
        ("", "no column 'user_id' (columns: none)"),
        ("user,item_id\nu,m1\n", "no column 'user_id' (columns: user, item_id). Did you mean"),
        ("user_id,item_id\n", "has no rows"),
        (
            "user_id,item_id\np,m1\np,m400\n",
            "line 3: item_id 'm400' is no id of the catalogue. Did you mean 'm40'? Remove",
        ),
        ("user_id,item_id\np,m1\n,m2\n", "line 3: user_id is empty"),
        ("user_id,item_id,rating\np,m1,6\n", "line 2: rating is '6', but must be a number from 1 to 5"),
        ("user_id,item_id,rating\np,m1,x\n", "line 2: rating is 'x'"),
        ("user_id,item_id,rating\np,m1,\n", "line 2: rating is ''"),
        ("user_id,item_id,rating\np,m1,5\np,m1,1\n", "user_id 'p' likes and dislikes item_id 'm1'"),
        ("user_id,item_id\np,m1\nq,m1\np,m2\n", "line 4: user_id 'p' has rows above; put each person's together"),
        ("user_id,item_id\np,[PAD]\n", "line 2: item_id '[PAD]' is no id"),
        ("user_id,item_id\np,m1,3,4,5\n", "line 2: has 5 values, the header has 2 columns"),
    ],
)
def test_rows_that_are_wrong_are_named(command, content, message):
    Path("people.csv").write_text(content)
    status, line = command("--users=people.csv", "--out=lists")
    assert status == 2 and message in line, line
    assert "people.csv" in line and not list(Path("lists").glob("part-*"))


def test_a_parquet_file_that_is_none(command, recommender):
    pytest.importorskip("pyarrow", reason="the extra 'import' is not installed")
    Path("people.parquet").write_text("hello")
    assert "cannot be read as parquet" in command("--users=people.parquet", "--out=lists")[1]
    pd.DataFrame({"user_id": [1.5], "item_id": ["m1"]}).to_parquet("people.parquet")
    assert "column 'user_id' must hold text or whole numbers" in command("--users=people.parquet", "--out=lists")[1]
    pd.DataFrame({"user_id": [7], "item_id": ["m1"]}).to_parquet("people.parquet")
    assert command("--users=people.parquet", "--out=lists")[0] == 0
    assert set(pd.read_csv("lists/part-000000.csv")["user_id"]) == {7}
    Path("people.txt").write_text("")
    assert "must end in .csv or .parquet" in command("--users=people.txt", "--out=other")[1]
