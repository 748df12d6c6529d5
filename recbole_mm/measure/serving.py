"""Seconds that a trained model needs to load and to answer, from Python and over HTTP.

    python -m recbole_mm.measure.serving --checkpoint=saved/MMASP-….pt [--rounds 5]

The model is saved as one file. A new process in an empty folder loads it; its imports are measured apart. Users are
all users of the dataset, or 1,000 at random. People outside the dataset like and dislike the movies of one user each.
Movies and users are encoded before the measurement, as for every question after the first.
"""

from __future__ import annotations

import argparse
import copy
import http.client
import json
import logging
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np
import torch
from tabulate import tabulate

from recbole_mm.errors import InputError
from recbole_mm.inference.load import load
from recbole_mm.inference.recommender import Recommender

USERS, NEW_MOVIES, K = 1_000, 100, 10
PEOPLE = (100, 1_000)


def measure(recommender: Recommender, rounds: int) -> list[dict]:
    """One row for each kind of question: median, lowest and highest seconds of ``rounds`` answers, and CPU seconds."""
    users = recommender.users
    if len(users) > USERS:
        users = np.random.default_rng(0).choice(users, USERS, replace=False).tolist()
    person, *_ = people_like_users(recommender, 1)
    listed = recommender.recommend_for(**person, k=K)["item_id"]
    new = _new_movies(recommender, NEW_MOVIES)
    item = recommender.movies["item_id"][0]
    questions: dict[str, Callable[[], object]] = {
        f"recommend {K} movies to {len(users):,} users": lambda: recommender.recommend(users, K),
        f"predict {len(users):,} ratings": lambda: recommender.predict(users, item),
        f"recommend_for one person of {sum(map(len, person.values()))} movies": lambda: recommender.recommend_for(
            **person, k=K
        ),
    }
    for number in PEOPLE:
        people = people_like_users(recommender, number)
        questions[f"recommend_for_each, {number:,} people"] = lambda people=people: recommender.recommend_for_each(
            people, K
        )
    hundred = people_like_users(recommender, PEOPLE[0])
    questions |= {
        f"predict_for {K} movies, one person": lambda: recommender.predict_for(listed, **person),
        f"predict_for_each {K} movies, {PEOPLE[0]} people": lambda: recommender.predict_for_each(hundred, listed),
        f"explain_each of {K} movies to the person": lambda: recommender.explain_each(listed, **person),
        f"add_movies, {NEW_MOVIES} movies": lambda: copy.copy(recommender).add_movies(new),
    }
    return [_timed(question, answer, rounds) for question, answer in questions.items()]


def measure_http(recommender: Recommender, rounds: int) -> list[dict]:
    """The same for questions to the server of ``recbole-mm serve``, by one connection on this machine.

    Raises:
        InputError: the extra ``serve`` is not installed.
    """
    try:
        from recbole_mm.serve.api import create_api
        from recbole_mm.serve.server import create_server
    except ModuleNotFoundError as error:
        raise InputError(f"the server needs {error.name}: pip install 'recbole-mm[serve]'") from error
    recommender = copy.copy(recommender)
    new = _new_movies(recommender, 1)
    vectors = {name: np.round(new[name][0], 6).tolist() for name in recommender.dimensions}
    number = iter(range(10**9))
    server = create_server(create_api(recommender, adds_movies=True), "127.0.0.1", 0)
    threading.Thread(target=server.run, daemon=True).start()
    connection = http.client.HTTPConnection("127.0.0.1", server.effective_port, timeout=60)

    def ask(path: str, question: Any) -> None:
        connection.request("POST", path, json.dumps(question), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status >= 300:
            raise InputError(f"POST {path}: status {answer.status}: {body[:200].decode()}")

    one, many = people_like_users(recommender, 1), people_like_users(recommender, PEOPLE[-1])
    questions: dict[str, Callable[[], object]] = {
        "POST /recommend, one person": lambda: ask("/recommend", {"people": one, "k": K}),
        "POST /recommend, one person, with reasons": lambda: ask(
            "/recommend", {"people": one, "k": K, "reasons": True}
        ),
        f"POST /recommend, {PEOPLE[-1]:,} people": lambda: ask("/recommend", {"people": many, "k": K}),
        "POST /movies, one movie": lambda: ask(
            "/movies", {"movies": [{"title": f"HTTP {next(number)}", "vectors": vectors}]}
        ),
    }
    try:
        return [_timed(question, answer, rounds) for question, answer in questions.items()]
    finally:
        connection.close()
        server.close()


def measure_load(path: Path) -> dict[str, float]:
    """Seconds of a new process in an empty folder: ``torch`` and ``imports`` of all else, then ``load``.

    Each is there as time that passed and as time of the processor, which other programs do not change.
    """
    with tempfile.TemporaryDirectory() as empty:
        command = [sys.executable, "-c", _LOADING, str(path.resolve())]
        finished = subprocess.run(command, cwd=empty, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(finished.stdout.splitlines()[-1])


_LOADING = """
import json, sys, time
times = [(time.perf_counter(), time.process_time())]
import torch
times.append((time.perf_counter(), time.process_time()))
import recbole_mm
from recbole_mm.inference.load import load
times.append((time.perf_counter(), time.process_time()))
load(sys.argv[1])
times.append((time.perf_counter(), time.process_time()))
steps = [[end - start for start, end in zip(*pair)] for pair in zip(times, times[1:])]
names = [("torch", "torch CPU"), ("imports", "imports CPU"), ("load", "load CPU")]
print(json.dumps({name: value for both, step in zip(names, steps) for name, value in zip(both, step)}))
"""


def people_like_users(recommender: Recommender, number: int) -> list[dict[str, list[str]]]:
    """People who like and dislike what users of the dataset do, at most 100 movies each."""
    users, movies = recommender.model.users, recommender.movies["item_id"].to_numpy()
    chosen = np.arange(1, len(users))
    if not len(chosen):
        raise InputError("the file has no histories to take people from; give the checkpoint, or save with histories")
    chosen = np.resize(chosen, number)
    return [
        {"liked": movies[_first(users.liked, user)].tolist(), "disliked": movies[_first(users.disliked, user)].tolist()}
        for user in chosen.tolist()
    ]


def _first(histories: Any, user: int) -> np.ndarray:
    return np.array(histories.movies_of(user)[:50], dtype=np.int64) - 1


def _new_movies(recommender: Recommender, number: int) -> dict[str, list]:
    random = np.random.default_rng(1)
    new: dict[str, list] = {"title": [f"new movie {i}" for i in range(number)]}
    for name, dimension in recommender.dimensions.items():
        new[name] = list(random.normal(size=(number, dimension)))
    return new


def _timed(question: str, answer: Callable[[], object], rounds: int) -> dict:
    answer()
    times, of_processor = [], []
    for _ in range(rounds):
        start, start_of_processor = perf_counter(), process_time()
        answer()
        times.append(perf_counter() - start)
        of_processor.append(process_time() - start_of_processor)
    return {
        "question": question,
        "seconds": median(times),
        "lowest": min(times),
        "highest": max(times),
        "CPU": median(of_processor),
    }


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", required=True, help="of MMFS, MMSP or MMASP")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    recommender = load(options.checkpoint)
    rows = measure(recommender, options.rounds)
    print(f"{recommender}, torch {torch.__version__}, {torch.get_num_threads()} thread(s); median of {options.rounds}")
    print(tabulate(rows, headers="keys", floatfmt=".4f"))
    for kind, ratio in _ratios({row["question"]: row["CPU"] for row in rows}):
        print(f"{kind}: {PEOPLE[0]} people take {ratio:.1f} x the processor time of one")
    print()
    print(tabulate(measure_http(recommender, options.rounds), headers="keys", floatfmt=".4f"))
    with tempfile.TemporaryDirectory() as folder:
        for histories in (False, True):
            path = Path(folder) / "model.safetensors"
            recommender.save(path, histories)
            times = [measure_load(path) for _ in range(options.rounds)]
            size = path.stat().st_size / 1e6
            shown = ", ".join(f"{name} {median(one[name] for one in times):.2f} s" for name in times[0])
            print(f"one file {'with' if histories else 'without'} histories, {size:.1f} MB, a new process: {shown}")


def _ratios(seconds: dict[str, float]) -> list[tuple[str, float]]:
    """How much longer many people take than one, for each kind of question."""
    found = []
    for kind in ("recommend_for", "predict_for"):
        one = next(value for name, value in seconds.items() if name.startswith(f"{kind} "))
        many = next(value for name, value in seconds.items() if name.startswith(f"{kind}_each"))
        found.append((kind, many / one))
    return found


if __name__ == "__main__":
    main()
