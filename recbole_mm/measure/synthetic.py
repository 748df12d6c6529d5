"""SYNTHETIC data in the layout and at the size of MMTF-14K and MovieLens-20M, to measure what size costs.

    python -m recbole_mm.measure.synthetic --ratings=1000000 --out=DIR
    recbole-mm prepare mmtf-14k --source=DIR/MMTF-14K --ratings=DIR/ml-20m --visual=avf:avg,alexnet:avg

Nothing in it is measured of any person or film. Preferences are planted, so that a model can be seen to learn: movies
have 16 hidden traits, which their descriptors and genres show through noise; users belong to one of 24 tastes, which
decides the movies they come across, and differ from it in what they think of them.
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
RATINGS, USERS = 20_000_263, 138_493  # of MovieLens-20M; fewer ratings are of fewer users
DESCRIPTORS = {
    "Audio/ivector features/IVec_splitItem_fold_1_gmm_128_tvDim_100.csv": 100,
    "Visual/Aesthetic features/Avg/AestheticFeatures - AVG - All.csv": 107,
    "Visual/AlexNet features/Avg/AlexNetFeatures - AVG - fc7.csv": 4_096,
}
TEXT = 384
GENRES = tuple(f"Genre{letter}" for letter in "ABCDEFGHIJKLMNOPQR")

_TRAITS, _TASTES = 16, 24
_WITHOUT_DESCRIPTOR = 0.03
_NUMBERS = np.array([f"{value:.3f}" for value in np.linspace(-4, 4, 2_001)])  # text of each value a descriptor may have
_USERS_AT_A_TIME = 4_096


@dataclass(frozen=True)
class Movies:
    """What is planted.

    Attributes:
        ids: MovieLens ids, ascending, [N].
        traits: hidden, [N, 16].
        quality: what a movie's mean rating is above or below the others', [N].
        shares: cumulated probability with which a user of each taste comes across the movies, [24, N].
        tastes: what a taste likes in the traits, [24, 16].
    """

    ids: np.ndarray
    traits: np.ndarray
    quality: np.ndarray
    shares: np.ndarray
    tastes: np.ndarray


def plant(movies: int = MOVIES, seed: int = 1) -> Movies:
    """Movies with traits, quality and an audience in each taste."""
    random = np.random.default_rng([seed, 0])
    ids = np.sort(random.choice(np.arange(1, max(131_263, 2 * movies)), movies, replace=False))
    traits = random.standard_normal((movies, _TRAITS))
    tastes = random.standard_normal((_TASTES, _TRAITS)) / np.sqrt(_TRAITS)
    popularity = 1.0 / (20 + random.permutation(movies))  # Zipf's law, with a flat top
    weights = popularity * np.exp(tastes @ traits.T)
    shares = np.cumsum(weights / weights.sum(axis=1, keepdims=True), axis=1)
    return Movies(ids, traits, random.normal(0, 0.45, movies), shares / shares[:, -1:], tastes)


def write_descriptors(folder: Path, planted: Movies, seed: int = 1) -> None:
    """The release's files of movies, audio and visual descriptors, as CSV."""
    random = np.random.default_rng([seed, 1])
    for part in ("Data", "Metadata", *(str(Path(name).parent) for name in DESCRIPTORS)):
        (folder / part).mkdir(parents=True, exist_ok=True)
    titles = pd.DataFrame({"movieId": planted.ids, "title": [f"Synthetic {i} (2000)" for i in planted.ids]})
    titles.assign(YTId="none").to_csv(folder / "Data" / "movie_description.csv", index=False)
    years = pd.DataFrame({"movieId": planted.ids, "year": random.integers(1930, 2016, len(planted.ids))})
    years.to_csv(folder / "Metadata" / "YearOfProd.csv", index=False)
    for name, dimension in DESCRIPTORS.items():
        values = _seen_through_noise(planted, dimension, random)
        level = np.clip(np.rint((values + 4) / 8 * (len(_NUMBERS) - 1)), 0, len(_NUMBERS) - 1).astype(int)
        has_one = random.random(len(planted.ids)) >= _WITHOUT_DESCRIPTOR
        with open(folder / name, "w", encoding="latin1") as file:
            file.write(",".join(["movieId", *map(str, range(dimension))]) + "\n")
            for movie, row in zip(planted.ids[has_one], tqdm(level[has_one], desc=Path(name).stem, disable=None)):
                file.write(f"{movie}," + ",".join(_NUMBERS[row]) + "\n")


def write_text(path: Path, planted: Movies, seed: int = 1) -> None:
    """A field of 384 values, as sentence embeddings have; the release has no texts, so it goes beside what is built."""
    values = _seen_through_noise(planted, TEXT, np.random.default_rng([seed, 2]))
    write_vectors_npz(path, [str(i) for i in planted.ids], values.astype(np.float32))


def write_ratings(folder: Path, planted: Movies, ratings: int, seed: int = 1) -> None:
    """MovieLens-20M's ratings.csv and movies.csv with so many ratings, each user with 20 or more."""
    random = np.random.default_rng([seed, 3, ratings])
    folder.mkdir(parents=True, exist_ok=True)
    scores = _seen_through_noise(planted, len(GENRES), random)
    of_movie = ["|".join(GENRES[j] for j in np.argsort(-row)[: 1 + (row[0] > 0)]) for row in scores]
    movies = pd.DataFrame({"movieId": planted.ids, "title": "Synthetic", "genres": of_movie})
    movies.to_csv(folder / "movies.csv", index=False)
    with (
        open(folder / "ratings.csv", "w", encoding="utf-8", newline="") as file,
        tqdm(total=ratings, desc="ratings.csv", unit_scale=True, disable=None) as bar,
    ):
        file.write("userId,movieId,rating,timestamp\n")
        for block in _rating_blocks(planted, ratings, random):
            block.to_csv(file, index=False, header=False)
            bar.update(len(block))


def _seen_through_noise(planted: Movies, dimension: int, random: np.random.Generator) -> np.ndarray:
    shown = planted.traits @ random.standard_normal((_TRAITS, dimension)) / np.sqrt(_TRAITS)
    return shown + random.standard_normal(shown.shape)


def _rating_blocks(planted: Movies, ratings: int, random: np.random.Generator) -> Iterator[pd.DataFrame]:
    # As many users as MovieLens has for so many ratings, and more where the movies are few.
    users = max(round(ratings * USERS / RATINGS), ratings * 6 // len(planted.ids), 1)
    counts = _counts(ratings, users, len(planted.ids), random)
    for start in range(0, len(counts), _USERS_AT_A_TIME):
        of_user = counts[start : start + _USERS_AT_A_TIME]
        taste = random.integers(_TASTES, size=len(of_user))
        user, movie = _encounters(planted, of_user, taste, random)
        likes = 0.6 * planted.tastes[taste] + 0.2 * random.standard_normal((len(of_user), _TRAITS))
        opinion = np.einsum("nt,nt->n", likes[user], planted.traits[movie])
        mood = random.normal(0, 0.4, len(of_user))[user]
        rating = 3.5 + mood + planted.quality[movie] + 0.7 * opinion + random.normal(0, 0.75, len(user))
        yield pd.DataFrame(
            {
                "userId": start + user + 1,
                "movieId": planted.ids[movie],
                "rating": np.clip(np.rint(2 * rating) / 2, 0.5, 5),
                "timestamp": 800_000_000 + random.integers(600_000_000, size=len(user)),
            }
        )


def _counts(ratings: int, users: int, movies: int, random: np.random.Generator) -> np.ndarray:
    """Ratings of each user, [users], ``ratings`` in all: log-normal above 20, at most a third of the movies."""
    least, most = min(20, ratings // users), movies // 3
    wanted = random.lognormal(0, 1.2, users)
    above = np.minimum(wanted / wanted.sum() * (ratings - least * users), most - least).astype(int)
    counts = least + above
    while (missing := ratings - counts.sum()) > 0:
        more = random.choice(np.flatnonzero(counts < most), min(missing, int((counts < most).sum())), replace=False)
        counts[more] += 1
    return counts


def _encounters(
    planted: Movies, counts: np.ndarray, taste: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Users and movies of the ratings: ``counts`` different movies for each user, by the audience of the taste."""
    movies = len(planted.ids)
    pairs, missing = np.empty(0, np.int64), counts
    for attempt in range(1_000):
        user = np.repeat(np.arange(len(counts)), missing)
        if not len(user):
            return pairs // movies, pairs % movies
        movie = np.empty(len(user), np.int64)
        for kind in range(_TASTES):
            mine = taste[user] == kind
            movie[mine] = np.searchsorted(planted.shares[kind], random.random(int(mine.sum())))
        if attempt >= 20:  # who has seen all that is popular looks for the rest
            movie = random.integers(movies, size=len(user))
        pairs = np.union1d(pairs, user * movies + np.minimum(movie, movies - 1))
        missing = counts - np.bincount(pairs // movies, minlength=len(counts))
    raise RuntimeError("no movies left to rate")  # not with a third of them at most (see _counts)


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
