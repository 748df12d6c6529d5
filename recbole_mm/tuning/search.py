"""Hyper-parameters of one model, chosen on the validation part by random search.

Every model gets the same number of trials. The first trial is the default, so tuning is never worse than the default on
the validation part. The other trials are random and all different. A random trial depends only on the seed and its
number, not on other results. So a search can be repeated, resumed, extended, and run by several processes with the same
trials. A trial that is worse than the median of the finished ones after the same number of epochs is ended early; it
counts as a trial.

The test part is never evaluated: a trial trains and returns the validation metrics of `fit`.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from tabulate import tabulate

from recbole_mm import __version__
from recbole_mm.config.config import Config
from recbole_mm.config.sources import find_file
from recbole_mm.errors import InputError, when_stopped
from recbole_mm.files import write_text
from recbole_mm.training.session import check_writable, prepare_data
from recbole_mm.tuning.log import Log
from recbole_mm.tuning.search_space import SearchSpace, read_space
from recbole_mm.tuning.study import Study
from recbole_mm.tuning.trial import DEFAULT, Trial, best, ranked
from recbole_mm.tuning.workers import run_trials

FORBIDDEN_OPTIONS = ("resume", "evaluate", "result_file", "predictions_file", "checkpoint_dir")
SHOWN = 5


def tune(
    arguments: Sequence[str],
    trials: int = 12,
    out: Path = Path("properties/tuned"),
    workers: int = 1,
    metric: str | None = None,
    pruner: str = "median",
    space_file: Path | None = None,
    given_are_fixed: bool = False,
) -> Path:
    """Search, log every trial, and write the best options as a file for ``--config_files``.

    Args:
        arguments: options of `recbole-mm run` (``--key=value``) of all trials; ``seed`` is also the seed of the search.
        trials: number of trained models, including the default. Trials that the log has are not repeated.
        out: the log is ``out/<dataset>/<protocol>/<model>.jsonl``, the best options are ``….yaml`` beside it.
        workers: trials at a time. With more than one the trials are the same, but which of them are pruned depends on
            which are finished by then.
        metric: that chooses epoch and trial, e.g. ``ndcg@10``; the run's ``valid_metric`` by default. Whether a
            smaller value is better follows from it.
        pruner: ``median``, or ``none``: each trial is trained to its end.
        space_file: search space in place of that of properties/tuning (`read_space`).
        given_are_fixed: searched options among ``arguments`` keep their value; otherwise they are an error.

    Returns:
        The file of the best options.

    Raises:
        InputError: wrong options, no search space or a wrong one, optuna is missing, or every trial failed.
    """
    if trials < 1:
        raise InputError(f"trials is {trials}, but must be at least 1 (the default options)")
    if workers < 1:
        raise InputError(f"workers is {workers}, but at least one trial must run at a time")
    config, of_runs = _config(arguments, metric)
    space = read_space(_space_file(config, space_file), config, given_are_fixed)
    model, metric, bigger = config["model"], config["valid_metric"], config["valid_metric_bigger"]
    study = Study(space, config["seed"], bigger, pruner)
    check_writable(config)

    file = out / config["dataset"] / config["protocol"] / f"{model}.yaml"
    search = {
        "arguments": sorted(arguments),
        "valid_metric": metric,
        "space": dict(space.distributions),
        "draws": "optuna",
        "pruner": pruner,
    }
    log = Log(file.with_suffix(".jsonl"), search)
    options = options_of_trials(space, study, config, trials)
    _check_logged(log, options)
    seen: list[Trial] = []

    def tell(trial: Trial) -> None:
        seen.append(trial)
        print(_line(trial, len(options), metric, best(seen, bigger)), flush=True)

    for number in sorted(log.trials.keys() & options.keys()):
        study.end(log.trials[number])
        tell(log.trials[number])
    if workers > 1:
        prepare_data(config, refit=False)  # builds a data set once, and not in several processes
    waiting = [(number, chosen) for number, chosen in options.items() if number not in log.trials]

    def kept() -> str:
        return f"{len(log.trials)} trials are kept in {log.path}; the same command goes on with the next"

    with when_stopped(kept), closing(run_trials(waiting, of_runs, study, workers)) as running:
        for trial in running:
            log.add(trial)
            tell(trial)
    seen.sort(key=lambda trial: trial.number)
    chosen = best(seen, bigger)
    if chosen is None:
        raise InputError(f"every trial of {model} failed, the last with: {seen[-1].failure}")
    print(_table(seen, metric, bigger), flush=True)
    write_text(
        file, _chosen_file(_command(arguments, trials, config, metric, pruner, space_file), metric, chosen, seen)
    )
    return file


def _config(arguments: Sequence[str], metric: str | None) -> tuple[Config, list[str]]:
    """Options that all trials share, and the arguments that give them."""
    of_runs = list(arguments)
    config = Config(arguments=of_runs)
    for option in FORBIDDEN_OPTIONS:
        if config.given.get(option):
            raise InputError(f"option '{option}' is not possible in a search, which saves no model; leave it out")
    if metric is None:
        return config, of_runs
    if "valid_metric" in config.given:
        raise InputError("--metric and option 'valid_metric' are the same; give one of them")
    of_runs += [f"--valid_metric={metric}", *_computing(metric, config)]
    try:
        return Config(arguments=of_runs), of_runs
    except InputError as error:
        raise InputError(f"--metric={metric}: {error}") from error


def _computing(metric: str, config: Config) -> list[str]:
    """Arguments with which the runs compute the metric, too, where neither the user nor the protocol says so."""
    name, _, cutoff = metric.partition("@")
    asked = [one for names in config["metrics_of"].values() for one in names]
    arguments = []
    if name.lower() not in (one.lower() for one in asked) and "metrics" not in config.given:
        arguments.append(f"--metrics=[{', '.join([*asked, name])}]")
    if cutoff.isdecimal() and int(cutoff) not in config["topk"] and "topk" not in config.given:
        arguments.append(f"--topk={sorted([*config['topk'], int(cutoff)])}")
    return arguments


def _space_file(config: Config, given: Path | None) -> Path:
    if given is None:
        return find_file(f"tuning/{config['builtin_task']}.yaml")
    if not given.is_file():
        raise InputError(f"--space={given}: no such file")
    return given


def options_of_trials(space: SearchSpace, study: Study, config: Config, trials: int) -> dict[int, dict[str, Any]]:
    """Number -> options of each trial; fewer than ``trials`` where a small space has no more."""
    tried = [{option: config[option] for option in space.distributions}]
    for number in range(DEFAULT + 1, trials + 1):
        options = study.draw(number, tried)
        if options is None:
            break
        tried.append(options)
    return dict(enumerate(tried, start=DEFAULT))


def _check_logged(log: Log, options: dict[int, dict[str, Any]]) -> None:
    for number in sorted(log.trials.keys() & options.keys()):
        if log.trials[number].options != options[number]:
            reason = "a default has changed" if number == DEFAULT else "the draws or a default have changed"
            raise InputError(f"{log.path}: trial {number} has other options: {reason}; remove the file")


def _line(trial: Trial, trials: int, metric: str, best_trial: Trial | None) -> str:
    score = f"failed: {trial.failure}" if trial.score is None else f"{metric} {trial.score:.4f}"
    pruned = ", pruned" if trial.pruned else ""
    best_score = "" if best_trial is None else f"; best {best_trial.score:.4f} of trial {best_trial.number}"
    return (
        f"trial {trial.number} of {trials}: {score}, {trial.epochs} epochs, {trial.seconds:.0f} s{pruned}{best_score}"
    )


def _command(
    arguments: Sequence[str], trials: int, config: Config, metric: str, pruner: str, space_file: Path | None
) -> str:
    words = ["recbole-mm", "tune", *arguments, f"--trials={trials}"]
    if "valid_metric" in config.given and not any(word.startswith("--valid_metric") for word in arguments):
        words.append(f"--metric={metric}")
    words += [f"--pruner={pruner}"] if pruner != "median" else []
    words += [f"--space={space_file}"] if space_file is not None else []
    return shlex.join(words)


def _chosen_file(command: str, metric: str, chosen: Trial, trials: Sequence[Trial]) -> str:
    default = "failed" if trials[0].score is None else f"{trials[0].score:.4f}"
    day = max(trial.date for trial in trials)
    lines = [
        f"# {command}",
        f"# {day}, recbole-mm {__version__}: trial {chosen.number} of {len(trials)} was the best on the "
        f"validation part, {metric} {chosen.score:.4f} (default {default}).",
        *(f"{option}: {json.dumps(value)}" for option, value in chosen.options.items()),
    ]
    return "\n".join(lines) + "\n"


def _table(trials: Sequence[Trial], metric: str, bigger: bool) -> str:
    shown = ranked(trials, bigger)[:SHOWN]
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
    pruned = sum(trial.pruned for trial in trials)
    failed = sum(trial.score is None for trial in trials)
    told = "".join(f", {n} {what}" for n, what in ((pruned, "pruned"), (failed, "failed")) if n)
    title = f"best {len(shown)} of {len(trials)} trials on the validation part (trial 1 is the default{told})"
    return f"{title}\n{tabulate(rows, headers='keys', tablefmt='rounded_outline', disable_numparse=True)}"
