"""How well a movie that is not on the page's map is placed on it: movies of the map are left out one by one.

    python -m recbole_mm.measure.new_places --checkpoint=saved/MMASP-….pt [--movies 100]

The map is drawn of all movies, so each has a true position. Distances are in the map's own units; those of two movies
at random say how large they are. Neighbours are the ten nearest; they are compared with the ten most similar movies.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

import numpy as np

from recbole_mm.errors import InputError
from recbole_mm.inference.load import load
from recbole_mm.inference.projection import Projection, directions

NEIGHBOURS = 10


def measure(vectors: np.ndarray, number: int) -> dict[str, float]:
    """Distances and neighbours of ``number`` movies of the map of vectors [n, m], of length 1."""
    random = np.random.default_rng(0)
    drawn, everything = Projection.of(vectors), np.arange(len(vectors))
    distances, kept, drawn_kept = [], [], []
    for left_out in random.choice(everything, min(number, len(vectors)), replace=False):
        others = everything != left_out
        without = replace(drawn, reduced=drawn.reduced[others], positions=drawn.positions[others])
        place = without.place(vectors[left_out])
        distances.append(np.linalg.norm(place - drawn.positions[left_out]))
        similar = _nearest(-vectors @ vectors[left_out], left_out)
        for position, found in ((place, kept), (drawn.positions[left_out], drawn_kept)):
            away = np.linalg.norm(drawn.positions - position, axis=1)
            found.append(len(similar & _nearest(away, left_out)) / NEIGHBOURS)
    at_random = np.linalg.norm(drawn.positions - drawn.positions[random.permutation(len(vectors))], axis=1)
    return {
        "distance to its own point, median": float(np.median(distances)),
        "distance to its own point, 90th percentile": float(np.quantile(distances, 0.9)),
        "distance of two movies at random, median": float(np.median(at_random)),
        "similar movies among its neighbours, placed": float(np.mean(kept)),
        "similar movies among its neighbours, as drawn": float(np.mean(drawn_kept)),
    }


def _nearest(away: np.ndarray, but: int) -> set[int]:
    order = np.argsort(away)
    return set(order[order != but][:NEIGHBOURS].tolist())


def main(argv: list[str] | None = None) -> int:
    """Measure and print; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--checkpoint", required=True, help="written by a run of MMFS, MMSP or MMASP")
    parser.add_argument("--data_path", help="folder that holds the data set's folder, if not as in training")
    parser.add_argument("--movies", type=int, default=100, help="how many are left out")
    options = parser.parse_args(argv)
    try:
        recommender = load(options.checkpoint, data_path=options.data_path)
        found = measure(directions(recommender.movie_embeddings().to_numpy()), max(options.movies, 1))
    except InputError as error:
        print(f"recbole-mm: error: {error}", file=sys.stderr)
        return 2
    for name, value in found.items():
        print(f"{name}: {value:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
