"""Damaged atomic files: each is loaded as a plain split of its lines reads it, or is an `InputError` naming a file."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from fuzzing import CASES, assert_says_what, damaged, run_cases
from hypothesis import strategies as st

from recbole_mm.config.config import Config
from recbole_mm.errors import InputError
from recbole_mm.training.session import prepare_data

INTER = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
ITEM = "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"


def base() -> dict[str, bytes]:
    random = np.random.default_rng(3)
    inter = [
        f"u{user}\t{item}\t{random.integers(1, 6)}\t{880_000_000 + random.integers(10**7)}"
        for user in range(8)
        for item in random.choice(20, 12, replace=False)
    ]
    item = [f"{i}\tFilm {i}\t{1990 + i % 9}\t{('Drama', 'War', 'Drama War')[i % 3]}" for i in range(20)]
    return {"inter": (INTER + "\n".join(inter) + "\n").encode(), "item": (ITEM + "\n".join(item) + "\n").encode()}


def strict(content: bytes) -> list[dict[str, str]]:
    """The independent reader: rows of a file by plain splitting."""
    header, *lines = content.decode("utf-8").replace("\r\n", "\n").split("\n")
    names = [column.rpartition(":")[0] for column in header.split("\t")]
    rows = [line.split("\t") for line in lines if line.strip(" \r")]  # a line of blanks, or a lone "\r", is no row
    assert all(len(row) == len(names) for row in rows), "a broken row was loaded"
    return [dict(zip(names, row)) for row in rows]


def check(case: tuple[dict[str, bytes], str]) -> bool:
    """Whether the files were loaded under a protocol; what was loaded is right."""
    files, protocol = case
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x")
        path.mkdir()
        for name, content in files.items():
            (path / f"x.{name}").write_bytes(content)
        options = {
            "data_path": folder,
            "load_col": {
                "inter": ["user_id", "item_id", "rating", "timestamp"],
                "item": ["item_id", "movie_title", "release_year", "class"],
            },
            "modalities": [],
            "gpu_id": "",
            "protocol": protocol,
        }
        message = ""
        try:
            dataset, split = prepare_data(Config("MMFS", "x", config_dict=options))
        except InputError as error:
            message = str(error)
        if message:
            assert_says_what(message, "x.")
            return False
    ratings, movies = strict(files["inter"]), strict(files["item"])
    told = sorted((row["user_id"], row["item_id"], float(np.float32(row["rating"]))) for row in ratings)
    loaded = []
    for part in (split.train, split.valid, split.test):
        rows = part.inter_feat
        ids = (part.field2id_token[name][rows[name].numpy()] for name in ("user_id", "item_id"))
        loaded += zip(*(column.tolist() for column in ids), rows["rating"].tolist())
    assert sorted(loaded) == told
    ids, titles = dataset.field2token_id["item_id"], dataset.titles()
    for movie in movies:
        words = [word for word in movie["movie_title"].split(" ") if word]
        assert titles[ids[movie["item_id"]]] == " ".join(words)
    return True


CASES_OF_ATOMIC_FILES = st.tuples(damaged(base()), st.sampled_from(["ranking", "temporal", "cold-item"]))


def test_damaged_files_are_read_as_they_are_or_refused(tmp_path):
    run_cases("atomic files", CASES_OF_ATOMIC_FILES, check, 250, tmp_path)


@pytest.mark.slow
def test_many_damaged_files_are_read_as_they_are_or_refused(tmp_path):
    run_cases("atomic files", CASES_OF_ATOMIC_FILES, check, CASES, tmp_path)


@pytest.mark.parametrize("protocol", ["ranking", "temporal", "cold-item"])
def test_the_files_without_damage_are_loaded(protocol):
    assert check((base(), protocol))
