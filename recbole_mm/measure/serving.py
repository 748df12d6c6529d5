"""Seconds that a loaded model needs for an answer.

    python -m recbole_mm.measure.serving --checkpoint=saved/MMASP-….pt [--rounds 5]

Users are all users of the dataset, or 1,000 at random. The person outside the dataset likes and dislikes the movies of
one user. Movies and users are encoded before the measurement, as for every question after the first.
"""

from __future__ import annotations

import argparse
import copy
import logging
from collections.abc import Callable
from statistics import median
from time import perf_counter

import numpy as np
import torch
from tabulate import tabulate

from recbole_mm.inference.load import load
from recbole_mm.inference.recommender import Recommender

USERS, NEW_MOVIES, K = 1_000, 100, 10


def measure(recommender: Recommender, rounds: int) -> list[dict]:
    """One row for each kind of question: median, lowest and highest seconds of ``rounds`` answers."""
    users = recommender.users
    if len(users) > USERS:
        users = np.random.default_rng(0).choice(users, USERS, replace=False).tolist()
    movies = recommender.explain(recommender.movies["item_id"][0], user=users[0]).movies
    liked, disliked = (movies[movies["liked"] == is_liked]["item_id"].tolist() for is_liked in (True, False))
    listed = recommender.recommend_for(liked, disliked, K)["item_id"]
    random = np.random.default_rng(1)
    new = {"title": [f"new movie {i}" for i in range(NEW_MOVIES)]}
    for name, dimension in recommender.dimensions.items():
        new[name] = list(random.normal(size=(NEW_MOVIES, dimension)))
    questions: dict[str, Callable[[], object]] = {
        f"recommend {K} movies to {len(users):,} users": lambda: recommender.recommend(users, K),
        f"predict {len(users):,} ratings": lambda: recommender.predict(users, recommender.movies["item_id"][0]),
        f"recommend_for one person of {len(movies)} movies": lambda: recommender.recommend_for(liked, disliked, K),
        f"explain_each of {K} movies to the person": lambda: recommender.explain_each(
            listed, liked=liked, disliked=disliked
        ),
        f"add_movies, {NEW_MOVIES} movies": lambda: copy.copy(recommender).add_movies(new),
    }
    rows = []
    for question, answer in questions.items():
        answer()
        times = []
        for _ in range(rounds):
            start = perf_counter()
            answer()
            times.append(perf_counter() - start)
        rows.append({"question": question, "seconds": median(times), "lowest": min(times), "highest": max(times)})
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", required=True, help="of MMFS, MMSP or MMASP")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    recommender = load(options.checkpoint)
    rows = measure(recommender, options.rounds)
    print(f"{recommender}, torch {torch.__version__}, {torch.get_num_threads()} thread(s); median of {options.rounds}")
    print(tabulate(rows, headers="keys", floatfmt=".3f"))


if __name__ == "__main__":
    main()
