"""Training the trials of a search, one after the other here or several at a time in processes of their own."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from multiprocessing import connection, get_context
from time import perf_counter
from typing import Any

from recbole_mm.errors import InputError
from recbole_mm.tuning.study import Study
from recbole_mm.tuning.trial import Trial, run_trial

SECONDS_TO_END = 5  # that a process has when the search is stopped

Waiting = Sequence[tuple[int, dict[str, Any]]]
"""Number and options of each trial that is to be trained."""


def run_trials(waiting: Waiting, arguments: Sequence[str], study: Study, workers: int) -> Iterator[Trial]:
    """Train the trials, ``workers`` at a time; each as it ends.

    Several run in processes with one thread each. A script that calls this with more than one worker does so under
    ``if __name__ == "__main__":``.

    Raises:
        InputError: the data, or the options that all trials share, are wrong.
    """
    if workers > 1 and len(waiting) > 1:
        yield from _in_processes(waiting, arguments, study, workers)
        return
    for number, options in waiting:
        study.start(number)
        trial = run_trial(number, options, arguments, _judge(study, number))
        study.end(trial)
        yield trial


def _judge(study: Study, number: int) -> Callable[[int, float], bool]:
    return lambda epoch, score: study.is_hopeless(number, epoch, score)


def _in_processes(waiting: Waiting, arguments: Sequence[str], study: Study, workers: int) -> Iterator[Trial]:
    os.environ["OMP_NUM_THREADS"] = "1"  # read when the process that the others are forked from starts
    context = get_context("forkserver")
    context.set_forkserver_preload(["recbole_mm.tuning.workers"])
    left = list(reversed(waiting))
    running: dict[Any, tuple[int, dict[str, Any], Any, float]] = {}
    try:
        while left or running:
            while left and len(running) < workers:
                number, options = left.pop()
                here, there = context.Pipe()
                process = context.Process(target=_work, args=(there, number, options, list(arguments)))
                study.start(number)
                process.start()
                there.close()
                running[here] = (number, options, process, perf_counter())
            for pipe in connection.wait(list(running)):
                number, options, process, start = running[pipe]
                trial = _answer(pipe, number, study)
                if trial is None:
                    continue
                process.join()
                if isinstance(trial, _Died):
                    trial = _died(number, options, process.exitcode, perf_counter() - start)
                del running[pipe]
                pipe.close()
                study.end(trial)
                yield trial
    finally:
        for _, _, process, _ in running.values():
            process.terminate()
        for _, _, process, _ in running.values():
            process.join(SECONDS_TO_END)
            process.kill()
            process.join()


class _Died:
    """A process has ended without a trial."""


def _answer(pipe: Any, number: int, study: Study) -> Trial | _Died | None:
    """What a process says: the trial that it has finished; None if it has told an epoch only, and was answered."""
    try:
        kind, content = pipe.recv()
        if kind == "epoch":
            pipe.send(study.is_hopeless(number, *content))
            return None
    except (EOFError, OSError):
        return _Died()
    if kind == "wrong":
        raise InputError(content)
    return Trial(**content)


def _died(number: int, options: Mapping[str, Any], exitcode: int | None, seconds: float) -> Trial:
    reason = f"its process ended with exit status {exitcode} (-9 often means out of memory)"
    return Trial(number, dict(options), None, {}, 0, round(seconds, 1), f"{date.today()}", reason)


def _work(pipe: Any, number: int, options: dict[str, Any], arguments: list[str]) -> None:
    """In the process of a trial: train, tell each epoch, and hand the trial over."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process: the one that started this one decides

    def is_hopeless(epoch: int, score: float) -> bool:
        try:
            pipe.send(("epoch", (epoch, score)))
            return pipe.recv()
        except (EOFError, OSError) as error:  # the search is gone
            raise SystemExit(1) from error

    try:
        pipe.send(("trial", asdict(run_trial(number, options, arguments, is_hopeless))))
    except InputError as error:
        pipe.send(("wrong", str(error)))
    pipe.close()
