"""Data sets that the tests write themselves, with answers that are known."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

# Before torch is loaded: two workers with a thread for each core stand in each other's way, for minutes in all.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import pytest
from clips import write_media
from trailers import clip

from recbole_mm import load, run
from recbole_mm.cli.main import main
from recbole_mm.data.vectors import write_vectors
from recbole_mm.datasets.registry import prepare
from recbole_mm.inference.recommender import Recommender

pytest.register_assert_rewrite("model_contract", "ranker_contract")

GENRES = ("Action", "Comedy", "Drama")
# Enough to learn the kinds of the planted data.
QUICK = {"epochs": 8, "learning_rate": 0.03, "train_batch_size": 128}


def write_atomic(path: Path, columns: dict[str, list]) -> None:
    """One atomic file: header 'name:type', tab separated."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(columns).to_csv(path, sep="\t", index=False)


class PlantedData:
    """Movies of three kinds and users who love one kind: rating 5 inside it, 1 or 2 outside, nothing else matters.

    The kind is the movie's genre and can be read off its vectors (text: a noisy one-hot; audio: the same, for
    two thirds of the movies only). Item 'm0' and 'm1' are one movie under two ids.
    """

    def __init__(self, folder: Path, users: int = 60, items: int = 90, per_user: int = 30, seed: int = 7) -> None:
        self.name, self.folder = "planted", folder / "planted"
        random = np.random.default_rng(seed)
        self.kind = np.arange(items) % 3
        self.taste = np.arange(users) % 3
        self.tokens = [f"m{i}" for i in range(items)]
        rows = []
        for user in range(users):
            for item in random.choice(items, per_user, replace=False):
                loved = self.kind[item] == self.taste[user]
                rows.append((f"u{user}", f"m{item}", 5.0 if loved else float(random.integers(1, 3)), len(rows)))
        rows = [rows[i] for i in random.permutation(len(rows))]
        self.ratings = pd.DataFrame(rows, columns=["user_id:token", "item_id:token", "rating:float", "timestamp:float"])
        titles = [f"Movie number {max(i, 1)}" for i in range(items)]
        self.item_columns = {
            "item_id:token": self.tokens,
            "movie_title:token_seq": titles,
            "release_year:token": [str(1990 + max(i, 1) % 7) for i in range(items)],
            "class:token_seq": [GENRES[k] for k in self.kind],
        }
        self.text = np.eye(3)[self.kind] + random.normal(0, 0.15, (items, 3))
        with_audio = np.arange(items) % 3 != 1
        self.write()
        write_vectors(self.folder / "planted.text", "text", self.tokens, self.text)
        audio = np.hstack([self.text, random.normal(0, 1, (items, 2))])
        write_vectors(
            self.folder / "planted.audio", "audio", list(np.array(self.tokens)[with_audio]), audio[with_audio]
        )

    def write(self) -> None:
        """(Re)write .inter and .item from ``ratings`` and ``item_columns``."""
        write_atomic(self.folder / "planted.inter", {name: self.ratings[name] for name in self.ratings})
        write_atomic(self.folder / "planted.item", self.item_columns)

    def data_options(self, **changes) -> dict:
        """Options of a run of any model on this data."""
        return {
            "data_path": str(self.folder.parent),
            "load_col": {
                "inter": ["user_id", "item_id", "rating", "timestamp"],
                "item": ["item_id", "movie_title", "release_year", "class"],
            },
            "show_progress": False,
            "gpu_id": "",
            **changes,
        }

    def options(self, **changes) -> dict:
        """Options of a run of one of our models on this data; small and quick."""
        return {
            **self.data_options(),
            "modalities": ["text", "audio"],
            "embedding_size": 8,
            "rating_hidden_size": 8,
            "train_batch_size": 256,
            "genre_batch_size": 64,
            "learning_rate": 0.01,
            "epochs": 3,
            **changes,
        }


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlantedData:
    """Planted data in a folder of its own, which is also the working directory (log/, saved/ go there)."""
    monkeypatch.chdir(tmp_path)
    return PlantedData(tmp_path / "dataset")


@pytest.fixture(scope="session")
def planted_once(tmp_path_factory: pytest.TempPathFactory) -> PlantedData:
    """Planted data for tests that leave them as they are, so that a model trained on them serves several."""
    return PlantedData(tmp_path_factory.mktemp("planted") / "dataset")


@pytest.fixture
def ml_100k_mm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of a freshly built ml-100k-mm; the working directory is beside it."""
    monkeypatch.chdir(tmp_path)
    return prepare("ml-100k-mm", tmp_path / "dataset").parent


@pytest.fixture(autouse=True)
def _forget_log_handlers():
    """RecBole's init_logger opens a file in the working directory of the moment; close it after each test."""
    yield
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, logging.FileHandler):
            root.removeHandler(handler)
            handler.close()


@pytest.fixture(scope="session")
def checkpoint_of(planted_once) -> Callable[..., str]:
    """``checkpoint_of(model, paper=False, **options)``: path of a checkpoint trained on the planted data."""

    @cache
    def checkpoint(model: str, paper: bool = False, **options) -> str:
        given = planted_once.options if model.startswith("MM") else planted_once.data_options
        folder = planted_once.folder.parent.parent
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            files = ["paper.yaml"] if paper else None
            with _log_left_as_it_was():
                result = run(model, planted_once.name, files, config_dict=given(**{**QUICK, **options}))
            return str(folder / result.checkpoint)

    return checkpoint


@contextmanager
def _log_left_as_it_was() -> Iterator[None]:
    """A run's log goes to the standard error of the test that happens to train; later tests have another."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        root.handlers, root.level = handlers, level


@pytest.fixture
def recommender_of(checkpoint_of) -> Callable[..., Recommender]:
    """``recommender_of(…)``: a fresh `Recommender` of ``checkpoint_of(…)``."""
    return lambda model, **options: load(checkpoint_of(model, **options))


@pytest.fixture
def recommender(recommender_of) -> Recommender:
    """MMASP with the default tasks on the planted data."""
    return recommender_of("MMASP")


@pytest.fixture
def write_clip() -> Callable[..., Path]:
    """Writes a media file; skips the test where PyAV is not installed."""
    pytest.importorskip("av", reason="av (extra 'extract') is not installed")
    return write_media


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> str:
    """A checkpoint on planted movies whose audio and video were made by the command, from clips of `trailers`."""
    pytest.importorskip("av", reason="av (extra 'extract') is not installed")
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("clips")
        patch.chdir(folder)
        planted = PlantedData(folder / "dataset")
        for name in ("text", "audio"):
            (planted.folder / f"planted.{name}").unlink()
        for i in range(len(planted.tokens)):
            clip(folder / "trailers" / f"m{i}.mp4", i % 3, i)
        assert main(["extract", "--dataset=planted", "--audio=trailers", "--video=trailers"]) == 0
        options = planted.options(modalities=["audio", "video"], epochs=10, learning_rate=0.03, train_batch_size=128)
        with _log_left_as_it_was():
            return str(folder / run("MMASP", "planted", config_dict=options).checkpoint)
