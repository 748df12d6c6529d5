"""Models trained once for all tests of a worker; what a test changes is a `Recommender` of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import pytest

from recbole_mm import load, run
from recbole_mm.inference.recommender import Recommender

# Enough to learn the kinds.
QUICK = {"epochs": 8, "learning_rate": 0.03, "train_batch_size": 128}


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
