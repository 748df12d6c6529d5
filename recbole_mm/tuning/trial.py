"""One trial of a search: a model trained with some options and scored on the validation part."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from time import perf_counter
from typing import Any

import numpy as np

from recbole_mm.config.config import Config
from recbole_mm.errors import InputError
from recbole_mm.training.session import Session, prepare_data, prepare_session

DEFAULT = 1
"""Number of the trial that has the default options."""


class Pruned(Exception):
    """Ends the training of a trial."""


@dataclass(frozen=True)
class Trial:
    """One line of a search's log.

    Attributes:
        number: from 1; 1 is the default.
        options: values of the searched options.
        score: the run's ``valid_metric`` in its best epoch; None if the trial failed.
        valid: all metrics of the validation part in that epoch.
        failure: reason if there is no score.
        pruned: its training was ended early, because it was worse than the median of the finished trials.
        scores: [epoch (from 1), score] of each validation.
    """

    number: int
    options: dict[str, Any]
    score: float | None
    valid: dict[str, float]
    epochs: int
    seconds: float
    date: str
    failure: str | None = None
    pruned: bool = False
    scores: list[list[float]] = field(default_factory=list)


def run_trial(
    number: int, options: Mapping[str, Any], arguments: Sequence[str], is_hopeless: Callable[[int, float], bool]
) -> Trial:
    """Train once. The model is not saved, and the test part is not used.

    Args:
        is_hopeless: told each epoch (from 1) and its validation score; True ends the training.

    Raises:
        InputError: the data, or the options that all trials share, are wrong. Every other error becomes the trial's
            ``failure``.
    """
    start = perf_counter()
    scores: list[list[float]] = []
    trainer, score, valid, failure, pruned = None, None, {}, None, False

    def after_epoch(epoch: int, value: float) -> None:
        scores.append([epoch + 1, float(value)])
        if is_hopeless(epoch + 1, float(value)):
            raise Pruned

    try:
        session = _session(number, options, arguments)
        trainer = session.trainer
        fit = {"saved": False, "show_progress": False, "callback_fn": after_epoch}
        try:
            score, valid = trainer.fit(session.train_data, session.valid_data, **fit)
        except Pruned:
            score, valid, pruned = trainer.best_valid_score, trainer.best_valid_result, True
        if valid is None or not np.isfinite(score):
            score, valid, failure = None, {}, "no epoch was validated; check epochs and eval_step"
    except _DataError as error:
        raise InputError(str(error)) from error
    except (ValueError, ArithmeticError, RuntimeError, MemoryError) as error:  # a loss that is nan, a singular matrix
        score, valid, failure = None, {}, " ".join(f"{type(error).__name__}: {error}".split())
    seconds = round(perf_counter() - start, 1)
    return Trial(
        number,
        dict(options),
        None if score is None else float(score),
        {name: float(value) for name, value in valid.items()},
        0 if trainer is None else len(trainer.history),
        seconds,
        f"{date.today()}",
        failure,
        pruned,
        scores,
    )


class _DataError(Exception):
    """An `InputError` that is wrong for every trial."""


def _session(number: int, options: Mapping[str, Any], arguments: Sequence[str]) -> Session:
    """The run of a trial; tells what is wrong for every trial from what is wrong with these options."""
    try:
        return prepare_session(Config(config_dict=options, arguments=arguments), refit=False)
    except InputError as error:
        if number == DEFAULT:
            raise _DataError(str(error)) from error
        try:
            prepare_data(Config(arguments=arguments), refit=False)
        except InputError as of_all:
            raise _DataError(str(of_all)) from of_all
        raise


def best(trials: Sequence[Trial], bigger: bool) -> Trial | None:
    """The trial with the best score (the first of equal scores); None if there is none."""
    return next(iter(ranked(trials, bigger)), None)


def ranked(trials: Sequence[Trial], bigger: bool) -> list[Trial]:
    """Trials that were trained to their end, the best first."""
    scored = [trial for trial in trials if trial.score is not None and not trial.pruned]
    scored.sort(key=lambda trial: trial.number)
    return sorted(scored, key=lambda trial: -trial.score if bigger else trial.score)  # stable: equal scores keep order
