"""Hyper-parameters of one model, chosen on the validation part by RecBole's HyperTuning with random search.

Every model gets the same number of trials. The first trial is the default, so tuning is never worse than the default on
the validation part. The other trials are random and all different. A random trial depends only on the seed and its
number, not on other results. So a search can be repeated, resumed and extended; a search that learns from its trials
(``bayes``) cannot.

The test part is never evaluated: a trial trains and returns the validation metrics of `fit`.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from recbole.trainer import HyperTuning
from tabulate import tabulate

from recbole_mm import __version__
from recbole_mm.config.config import Config
from recbole_mm.config.sources import find_file
from recbole_mm.errors import InputError, when_stopped
from recbole_mm.files import why, write_text
from recbole_mm.training.session import check_writable, prepare_session
from recbole_mm.tuning.search_space import SearchSpace, read_space

FORBIDDEN_OPTIONS = ("resume", "evaluate", "result_file", "predictions_file", "checkpoint_dir")
SHOWN = 5
ATTEMPTS = 100  # after so many draws without a new trial, a small space is exhausted


@dataclass(frozen=True)
class Trial:
    """One line of a search's log.

    Attributes:
        number: from 1; 1 is the default.
        options: values of the searched options.
        score: the run's ``valid_metric`` in its best epoch; None if the trial failed.
        valid: all metrics of the validation part in that epoch.
        failure: reason if there is no score.
    """

    number: int
    options: dict[str, Any]
    score: float | None
    valid: dict[str, float]
    epochs: int
    seconds: float
    date: str
    failure: str | None = None


class Log:
    """The finished trials of one search in a file of JSON lines. The first line describes the search.

    Args:
        path: the file; read if it exists.
        search: everything that decides the trials, as JSON values.

    Raises:
        InputError: the file holds another search, is not such a log, or cannot be written.
    """

    def __init__(self, path: Path, search: dict[str, Any]) -> None:
        self.path, self.trials = path, dict[int, Trial]()
        head = json.dumps({"search": search})
        lines = _whole_lines(path, head)
        if not lines:
            self._append({"search": search})
            return
        try:
            first, *others = map(json.loads, lines)
            logged_search = first["search"]
            self.trials = {line["number"]: Trial(**line) for line in others}
        except (ValueError, LookupError, TypeError) as error:
            raise InputError(
                f"{path}: is not a log of trials ({' '.join(str(error).split())}); remove it, or give another --out"
            ) from error
        if logged_search != search:
            different = [key for key in search if search[key] != logged_search.get(key)]
            raise InputError(
                f"{path}: holds a search with other {', '.join(different)}; remove it, or give another --out"
            )

    def add(self, trial: Trial) -> None:
        """Write a finished trial."""
        self.trials[trial.number] = trial
        self._append(asdict(trial))

    def _append(self, line: dict[str, Any]) -> None:
        """Add a line that is whole, or, if the disk is full, none."""
        size = None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                size = file.tell()
                file.write((json.dumps(line) + "\n").encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            if size is not None:
                with suppress(OSError):
                    os.truncate(self.path, size)
            raise InputError(
                f"{self.path}: {why(error)}; finished trials are kept: free some space and type the command again, or "
                f"give another --out"
            ) from error


def _whole_lines(path: Path, head: str) -> list[str]:
    """The lines of a log; a last one that a killed process has torn is dropped from the file, and that is said.

    Args:
        head: the first line that a new log would have: only of a log may a first line be torn.

    Raises:
        InputError: the file cannot be read.
    """
    if not path.is_file():
        return []
    try:
        content = path.read_bytes()
        whole, _, torn = content.rpartition(b"\n")
        if torn and (whole.startswith(b'{"search"') or (not whole and head.encode().startswith(torn))):
            kept = len(content) - len(torn)
            os.truncate(path, kept)
            content = content[:kept]
            print(
                f"recbole-mm: warning: {path}: its last line is torn and was dropped; that trial runs again",
                file=sys.stderr,
            )
        return content.decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: is not a log of trials ({reason}); remove it, or give another --out") from error


class Search(HyperTuning):
    """RecBole's tuner with random trials, all different, each drawn from a seed and its number.

    Args:
        objective: score of a run with the given options, and whether a larger score is better.
        trials: number of trials, including the default.
    """

    def __init__(
        self,
        objective: Callable[[dict[str, Any]], tuple[float, bool]],
        space: SearchSpace,
        model: str,
        trials: int,
        seed: int,
    ) -> None:
        from hyperopt import rand

        def draw(new_ids: Sequence[int], domain, drawn, _) -> list:
            for attempt in range(ATTEMPTS):
                own_seed = int(np.random.SeedSequence([seed, *new_ids, attempt]).generate_state(1)[0])
                documents = rand.suggest(new_ids, domain, drawn, own_seed)
                values = documents[0]["misc"]["vals"]  # hyperopt asks for one trial at a time
                if space.options({option: value[0] for option, value in values.items()}) not in self.tried:
                    return documents
            return []  # a small space is exhausted: hyperopt then stops

        def result(options: dict[str, Any], _) -> dict[str, Any]:
            score, bigger = objective(options)
            return {"model": model, "best_valid_score": score, "valid_score_bigger": bigger}

        # early_stop is the number of trials, so no search stops early.
        super().__init__(
            result, params_dict=space.for_recbole(), algo=draw, max_evals=trials - 1, early_stop=max(1, trials)
        )
        self._options_of = space.options
        self.tried: list[dict[str, Any]] = []

    def start_from(self, options: dict[str, Any]) -> None:
        """Run the first trial, which is not random."""
        self.tried.append(options)
        super().trial(options)

    def trial(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Run a random trial."""
        self.tried.append(self._options_of(params))
        return super().trial(self.tried[-1])

    def run(self) -> None:
        if self.max_evals:
            super().run()

    @staticmethod
    def _print_result(result_dict: dict[str, Any]) -> None:
        """Print nothing: RecBole's method prints a test result."""


def tune(arguments: Sequence[str], trials: int = 12, out: Path = Path("properties/tuned")) -> Path:
    """Search, log every trial, and write the best options as a file for ``--config_files``.

    Args:
        arguments: options of `recbole-mm run` (``--key=value``) of all trials; ``seed`` is also the seed of the search.
        trials: number of trained models, including the default. Trials that the log has are not repeated.
        out: the log is ``out/<dataset>/<protocol>/<model>.jsonl``, the best options are ``….yaml`` beside it.

    Returns:
        The file of the best options.

    Raises:
        InputError: wrong options, no search space or a wrong one, hyperopt is missing, or every trial failed.
    """
    if trials < 1:
        raise InputError(f"trials is {trials}, but must be at least 1 (the default options)")
    try:
        import hyperopt  # noqa: F401
    except ImportError as error:
        raise InputError("tuning needs hyperopt, which is missing; type: pip install 'recbole-mm[hyper]'") from error
    config = Config(arguments=arguments)
    for option in FORBIDDEN_OPTIONS:
        if config.given.get(option):
            raise InputError(f"option '{option}' is not possible in a search, which saves no model; leave it out")
    space = read_space(find_file(f"tuning/{config['builtin_task']}.yaml"), config)
    check_writable(config)

    model, metric, bigger = config["model"], config["valid_metric"], config["valid_metric_bigger"]
    file = out / config["dataset"] / config["protocol"] / f"{model}.yaml"
    search = {"arguments": sorted(arguments), "valid_metric": metric, "space": dict(space.distributions)}
    log = Log(file.with_suffix(".jsonl"), search)
    seen: list[Trial] = []

    def objective(options: dict[str, Any]) -> tuple[float, bool]:
        number = len(seen) + 1
        trial = log.trials.get(number)
        if trial is None:
            trial = run_trial(number, options, arguments)
            log.add(trial)
        elif trial.options != options:
            raise InputError(f"{log.path}: trial {number} has other options: a default has changed; remove the file")
        seen.append(trial)
        print(_line(trial, trials, metric, best(seen, bigger)), flush=True)
        worst = -np.inf if bigger else np.inf
        return worst if trial.score is None else trial.score, bigger

    tuner = Search(objective, space, model, trials, config["seed"])

    def kept() -> str:
        return f"{len(log.trials)} trials are kept in {log.path}; the same command goes on with the next"

    with when_stopped(kept):
        tuner.start_from({option: config[option] for option in space.distributions})
        tuner.run()
    chosen = best(seen, bigger)
    if chosen is None:
        raise InputError(f"every trial of {model} failed, the last with: {seen[-1].failure}")
    command = shlex.join(["recbole-mm", "tune", *arguments, f"--trials={trials}"])
    print(_table(seen, metric, bigger), flush=True)
    write_text(file, _chosen_file(command, metric, chosen, seen))
    return file


def run_trial(number: int, options: Mapping[str, Any], arguments: Sequence[str]) -> Trial:
    """Train once. The model is not saved, and the test part is not used.

    Raises:
        InputError: the options or the data are wrong. Errors in training become the trial's ``failure``.
    """
    start = perf_counter()
    session = prepare_session(Config(config_dict=options, arguments=arguments), refit=False)
    trainer, score, valid, failure = session.trainer, None, {}, None
    try:
        best_score, metrics = trainer.fit(session.train_data, session.valid_data, saved=False, show_progress=False)
        if metrics is None or not np.isfinite(best_score):
            failure = "no epoch was validated; check epochs and eval_step"
        else:
            score, valid = float(best_score), {name: float(value) for name, value in metrics.items()}
    except (ValueError, ArithmeticError, RuntimeError) as error:  # a loss that is nan, a matrix that is singular
        failure = " ".join(f"{type(error).__name__}: {error}".split())
    seconds = round(perf_counter() - start, 1)
    return Trial(number, dict(options), score, valid, len(trainer.history), seconds, f"{date.today()}", failure)


def best(trials: Sequence[Trial], bigger: bool) -> Trial | None:
    """The trial with the best score (the first of equal scores); None if all failed."""
    return next(iter(_ranked(trials, bigger)), None)


def _ranked(trials: Sequence[Trial], bigger: bool) -> list[Trial]:
    scored = [trial for trial in trials if trial.score is not None]
    return sorted(scored, key=lambda trial: -trial.score if bigger else trial.score)  # stable: equal scores keep order


def _line(trial: Trial, trials: int, metric: str, best_trial: Trial | None) -> str:
    score = f"failed: {trial.failure}" if trial.score is None else f"{metric} {trial.score:.4f}"
    best_score = "" if best_trial is None else f"; best {best_trial.score:.4f} of trial {best_trial.number}"
    return f"trial {trial.number} of {trials}: {score}, {trial.epochs} epochs, {trial.seconds:.0f} s{best_score}"


def _chosen_file(command: str, metric: str, chosen: Trial, trials: Sequence[Trial]) -> str:
    default = "failed" if trials[0].score is None else f"{trials[0].score:.4f}"
    lines = [
        f"# {command}",
        f"# {trials[-1].date}, recbole-mm {__version__}: trial {chosen.number} of {len(trials)} was the best on the "
        f"validation part, {metric} {chosen.score:.4f} (default {default}).",
        *(f"{option}: {json.dumps(value)}" for option, value in chosen.options.items()),
    ]
    return "\n".join(lines) + "\n"


def _table(trials: Sequence[Trial], metric: str, bigger: bool) -> str:
    shown = _ranked(trials, bigger)[:SHOWN]
    rows = [
        {
            "trial": trial.number,
            metric: f"{trial.score:.4f}",
            "epochs": trial.epochs,
            "seconds": trial.seconds,
            **{option: str(value) for option, value in trial.options.items()},
        }
        for trial in shown
    ]
    title = f"best {len(shown)} of {len(trials)} trials on the validation part (trial 1 is the default)"
    return f"{title}\n{tabulate(rows, headers='keys', tablefmt='rounded_outline', disable_numparse=True)}"
