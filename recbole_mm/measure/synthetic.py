"""SYNTHETIC data with the layout and size of MMTF-14K and MovieLens-20M, to measure cost against size.

    python -m recbole_mm.measure.synthetic --ratings=1000000 --out=DIR
    recbole-mm prepare mmtf-14k --source=DIR/MMTF-14K --ratings=DIR/ml-20m --visual=avf:avg,alexnet:avg

No number comes from a real person or film. Preferences are planted, so that a test can see whether a model learns.
Movies have 16 hidden traits; descriptors and genres are noisy functions of them. Each user belongs to one of 24 taste
groups. The group decides which movies the user meets; the user's own preferences differ a little from the group's.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from recbole_mm.data.vectors import write_vectors_npz

MOVIES = 13_623
RATINGS, USERS = 20_000_263, 138_493  # of MovieLens-20M; fewer ratings have fewer users
DESCRIPTORS = {
    "Audio/ivector features/IVec_splitItem_fold_1_gmm_128_tvDim_100.csv": 100,
    "Visual/Aesthetic features/Avg/AestheticFeatures - AVG - All.csv": 107,
    "Visual/AlexNet features/Avg/AlexNetFeatures - AVG - fc7.csv": 4_096,
}
TEXT = 384
GENRES = tuple(f"Genre{letter}" for letter in "ABCDEFGHIJKLMNOPQR")

_TRAITS, _TASTES = 16, 24
_WITHOUT_DESCRIPTOR = 0.03
_NUMBERS = np.array([f"{value:.3f}" for value in np.linspace(-4, 4, 2_001)])  # texts of all values of a descriptor
_USERS_AT_A_TIME = 4_096


@dataclass(frozen=True)
class Movies:
    """The planted movies and tastes.

    Attributes:
        ids: MovieLens ids, ascending, [N].
        traits: hidden, [N, 16].
        quality: added to all ratings of a movie, in stars, [N].
        cumulative: cumulative probability that a user of each taste group meets the movies, [24, N].
        tastes: weights of the traits for each taste group, [24, 16].
    """

    ids: np.ndarray
    traits: np.ndarray
    quality: np.ndarray
    cumulative: np.ndarray
    tastes: np.ndarray


def plant(movies: int = MOVIES, seed: int = 1) -> Movies:
    """Movies with traits, quality and a probability in each taste group."""
    random = np.random.default_rng([seed, 0])
    ids = np.sort(random.choice(np.arange(1, max(131_263, 2 * movies)), movies, replace=False))
    traits = random.standard_normal((movies, _TRAITS))
    tastes = random.standard_normal((_TASTES, _TRAITS)) / np.sqrt(_TRAITS)
    popularity = 1.0 / (20 + random.permutation(movies))  # Zipf's law; the first movies are about equally popular
    weights = popularity * np.exp(tastes @ traits.T)
    cumulative = np.cumsum(weights / weights.sum(axis=1, keepdims=True), axis=1)
    return Movies(ids, traits, random.normal(0, 0.45, movies), cumulative / cumulative[:, -1:], tastes)


def write_descriptors(folder: Path, planted: Movies, seed: int = 1) -> None:
    """Write the release's csv files of movies, audio descriptors and visual descriptors."""
    random = np.random.default_rng([seed, 1])
    for part in ("Data", "Metadata", *(str(Path(name).parent) for name in DESCRIPTORS)):
        (folder / part).mkdir(parents=True, exist_ok=True)
    titles = pd.DataFrame({"movieId": planted.ids, "title": [f"Synthetic {i} (2000)" for i in planted.ids]})
    titles.assign(YTId="none").to_csv(folder / "Data" / "movie_description.csv", index=False)
    years = pd.DataFrame({"movieId": planted.ids, "year": random.integers(1930, 2016, len(planted.ids))})
    years.to_csv(folder / "Metadata" / "YearOfProd.csv", index=False)
    for name, dimension in DESCRIPTORS.items():
        values = _noisy_functions(planted, dimension, random)
        level = np.clip(np.rint((values + 4) / 8 * (len(_NUMBERS) - 1)), 0, len(_NUMBERS) - 1).astype(int)
        has_descriptor = random.random(len(planted.ids)) >= _WITHOUT_DESCRIPTOR
        with open(folder / name, "w", encoding="latin1") as file:
            file.write(",".join(["movieId", *map(str, range(dimension))]) + "\n")
            rows = tqdm(level[has_descriptor], desc=Path(name).stem, disable=None)
            for movie, row in zip(planted.ids[has_descriptor], rows):
                file.write(f"{movie}," + ",".join(_NUMBERS[row]) + "\n")


def write_text(path: Path, planted: Movies, seed: int = 1) -> None:
    """Write a field of 384 values, like a sentence embedding, into the built dataset: the release has no texts."""
    values = _noisy_functions(planted, TEXT, np.random.default_rng([seed, 2]))
    write_vectors_npz(path, [str(i) for i in planted.ids], values.astype(np.float32))


def write_metadata(path: Path, planted: Movies, seed: int = 1) -> None:
    """Write a table of people, companies, countries and keywords by movieId; the traits decide which a movie has."""
    random = np.random.default_rng([seed, 4])
    # Names a movie has, and movies that share one.
    columns = {"directors": (1, 3), "cast": (5, 6), "companies": (2, 12), "countries": (1, 400), "keywords": (6, 20)}
    table = {"movieId": planted.ids}
    for column, (number, sharing) in columns.items():
        # The names nearest to a noisy position on one line through the traits.
        place = np.argsort(np.argsort(_noisy_functions(planted, number, random), axis=0), axis=0)
        chosen = place // min(sharing, max(1, len(planted.ids) // 2))
        table[column] = ["|".join(f"{column} {j}" for j in row) for row in chosen]
    table["original_language"] = random.choice(["en", "fr", "ja"], len(planted.ids))
    table["content_rating"] = random.choice(["R", "PG"], len(planted.ids))
    pd.DataFrame(table).to_csv(path, index=False)


def write_ratings(folder: Path, planted: Movies, ratings: int, seed: int = 1) -> None:
    """Write MovieLens-20M's ratings.csv and movies.csv with ``ratings`` ratings, at least 20 for each user."""
    random = np.random.default_rng([seed, 3, ratings])
    folder.mkdir(parents=True, exist_ok=True)
    scores = _noisy_functions(planted, len(GENRES), random)
    genres = ["|".join(GENRES[j] for j in np.argsort(-row)[: 1 + (row[0] > 0)]) for row in scores]
    movies = pd.DataFrame({"movieId": planted.ids, "title": "Synthetic", "genres": genres})
    movies.to_csv(folder / "movies.csv", index=False)
    with (
        open(folder / "ratings.csv", "w", encoding="utf-8", newline="") as file,
        tqdm(total=ratings, desc="ratings.csv", unit_scale=True, disable=None) as bar,
    ):
        file.write("userId,movieId,rating,timestamp\n")
        for block in _rating_blocks(planted, ratings, random):
            block.to_csv(file, index=False, header=False)
            bar.update(len(block))


def _noisy_functions(planted: Movies, dimension: int, random: np.random.Generator) -> np.ndarray:
    """Random linear functions of the traits plus noise, [N, dimension]."""
    values = planted.traits @ random.standard_normal((_TRAITS, dimension)) / np.sqrt(_TRAITS)
    return values + random.standard_normal(values.shape)


def _rating_blocks(planted: Movies, ratings: int, random: np.random.Generator) -> Iterator[pd.DataFrame]:
    # The ratings per user of MovieLens, but more users if there are few movies.
    users = max(round(ratings * USERS / RATINGS), ratings * 6 // len(planted.ids), 1)
    n_ratings = _ratings_per_user(ratings, users, len(planted.ids), random)
    for start in range(0, users, _USERS_AT_A_TIME):
        n_block = n_ratings[start : start + _USERS_AT_A_TIME]
        taste = random.integers(_TASTES, size=len(n_block))
        user, movie = _draw_pairs(planted, n_block, taste, random)
        preferences = 0.6 * planted.tastes[taste] + 0.2 * random.standard_normal((len(n_block), _TRAITS))
        match = np.einsum("nt,nt->n", preferences[user], planted.traits[movie])
        user_bias = random.normal(0, 0.4, len(n_block))[user]
        rating = 3.5 + user_bias + planted.quality[movie] + 0.7 * match + random.normal(0, 0.75, len(user))
        yield pd.DataFrame(
            {
                "userId": start + user + 1,
                "movieId": planted.ids[movie],
                "rating": np.clip(np.rint(2 * rating) / 2, 0.5, 5),
                "timestamp": 800_000_000 + random.integers(600_000_000, size=len(user)),
            }
        )


def _ratings_per_user(ratings: int, users: int, movies: int, random: np.random.Generator) -> np.ndarray:
    """Number of ratings of each user, [users], sum ``ratings``: log-normal above 20, at most a third of the movies."""
    minimum, maximum = min(20, ratings // users), movies // 3
    wanted = random.lognormal(0, 1.2, users)
    above = np.minimum(wanted / wanted.sum() * (ratings - minimum * users), maximum - minimum).astype(int)
    n_ratings = minimum + above
    while (missing := ratings - n_ratings.sum()) > 0:
        below_maximum = np.flatnonzero(n_ratings < maximum)
        n_ratings[random.choice(below_maximum, min(missing, len(below_maximum)), replace=False)] += 1
    return n_ratings


def _draw_pairs(
    planted: Movies, n_ratings: np.ndarray, taste: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Users and movies of the ratings: ``n_ratings`` different movies for each user, by the user's taste group."""
    movies = len(planted.ids)
    pairs, missing = np.empty(0, np.int64), n_ratings
    for attempt in range(1_000):
        user = np.repeat(np.arange(len(n_ratings)), missing)
        if not len(user):
            return pairs // movies, pairs % movies
        movie = np.empty(len(user), np.int64)
        for kind in range(_TASTES):
            in_group = taste[user] == kind
            movie[in_group] = np.searchsorted(planted.cumulative[kind], random.random(int(in_group.sum())))
        if attempt >= 20:  # these users have rated all popular movies: draw from all movies
            movie = random.integers(movies, size=len(user))
        pairs = np.union1d(pairs, user * movies + np.minimum(movie, movies - 1))
        missing = n_ratings - np.bincount(pairs // movies, minlength=len(n_ratings))
    raise RuntimeError("no movies left to rate")  # impossible: a user rates at most a third of them


def main(arguments: list[str] | None = None) -> None:
    """Write descriptors and ratings below ``--out``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ratings", type=lambda text: int(float(text)), default=1_000_000)
    parser.add_argument("--movies", type=int, default=MOVIES)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    planted = plant(options.movies, options.seed)
    write_descriptors(options.out / "MMTF-14K", planted, options.seed)
    write_ratings(options.out / "ml-20m", planted, options.ratings, options.seed)


if __name__ == "__main__":
    main()
