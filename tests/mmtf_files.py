"""MMTF-14K's release and MovieLens-20M in their exact layout (names, headers, latin1), small and made up."""

from __future__ import annotations

import functools
import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

NAME = "mmtf-14k"
IVECTOR, AVF = "ivector_fold1_gmm128_tv100", "avf_avg"  # the fields built by default
MOVIES = 60
# Ids with gaps, as in MovieLens. The last one has no rating, the second last no row but in the i-vectors.
IDS = [3 * i + 1 for i in range(MOVIES)]
UNRATED, ONE_DESCRIPTOR, WITH_INF = IDS[-1], IDS[-2], IDS[5]
WITH_TEXT = IDS[2:]
GENRES = ("Action", "Comedy", "Sci-Fi")
BLF = (
    "CORRELATION",
    "DELTASPECTRAL",
    "LOGARITHMICFLUCTUATION",
    "SPECTRALCONTRAST",
    "SPECTRAL",
    "VARIANCEDELTASPECTRAL",
)


def csv_text(header: list[str], rows: list[list]) -> str:
    return "".join(",".join(map(str, row)) + "\n" for row in [header, *rows])


def values_of(movie: int, dimension: int, shift: float) -> list[float]:
    """Numbers that say whose they are."""
    return [round(float(np.sin(movie * 7 + shift + column)), 6) for column in range(dimension)]


def feature_file(dimension: int, shift: float, movies: list[int]) -> str:
    rows = [[movie, *values_of(movie, dimension, shift)] for movie in movies]
    return csv_text(["movieId", *map(str, range(dimension))], rows)


def release_files() -> dict[str, str]:
    """Path in the release -> text."""
    return dict(_release_files())


@functools.cache
def _release_files() -> dict[str, str]:
    titles = [f'{movie},"Movie {movie}, Thé ({1990 + movie % 9})",yt{movie}' for movie in IDS]
    files = {
        "Data/movie_description.csv": "movieId,title,YTId\n" + "\n".join(titles) + "\n",
        "Data/rating.txt": "https://grouplens.org/datasets/movielens/20m/\n",
        "Metadata/YearOfProd.csv": csv_text(["movieId", "year"], [[m, 1980 + m % 40] for m in IDS[:-5]]),
        "Metadata/GenreFeatures.csv": csv_text(
            ["movieId", *GENRES], [[m, *(int(j == m % 3) for j in range(3))] for m in IDS]
        ),
        "Metadata/TagFeatures.csv": csv_text(
            ["movieId", "robots", "romantic comedy", "time travel", "Horror"], [[m, 1, 5, m, 7] for m in IDS]
        ),
        "Audio/Block level features/All/blf_sim_matrix.csv": "1,0.5\n0.5,1\n",
        "Audio/Block level features/All/movieIds_sim.csv": "1\n4\n",
    }
    usual = [movie for movie in IDS if movie != ONE_DESCRIPTOR]
    for shift, name in enumerate(BLF):
        files[f"Audio/Block level features/Component6/BLF_{name}feat.csv"] = feature_file(3 + shift, shift, usual)
    for fold in (1, 2):
        for dimension in (10, 100):
            name = f"Audio/ivector features/IVec_splitItem_fold_{fold}_gmm_128_tvDim_{dimension}.csv"
            files[name] = feature_file(dimension, fold, IDS)
    for folder in ("Avg", "AvgVar", "Med", "MedMad"):
        upper = folder.upper()
        for shift, group in enumerate(("All", "Type3Color", "Feat26avgHSLFocus")):
            name = f"Visual/Aesthetic features/{folder}/AestheticFeatures - {upper} - {group}.csv"
            files[name] = feature_file(107 - shift, shift, usual)
        files[f"Visual/AlexNet features/{folder}/AlexNetFeatures - {upper} - fc7.csv"] = feature_file(300, 9, usual)
    all_features = "Visual/Aesthetic features/Avg/AestheticFeatures - AVG - All.csv"
    lines = files[all_features].splitlines()
    row = 1 + usual.index(WITH_INF)
    lines[row] = lines[row].rpartition(",")[0] + ",inf"
    files[all_features] = "\n".join([*lines, "999999" + ",0" * 107, lines[1]]) + "\n"  # an unknown and a repeated movie
    return files


def movielens_files(encoding: str = "utf-8") -> dict[str, bytes]:
    random = np.random.default_rng(3)
    rows = []
    for user in range(1, 41):
        for movie in random.choice(IDS[:-1], 20, replace=False):
            loved = movie % 3 == user % 3
            rows.append([user, movie, random.choice([4, 4.5, 5] if loved else [0.5, 1, 2.5]), 1_000_000 + len(rows)])
    rows += [[1, ONE_DESCRIPTOR, 4.0, 5], [1, 888888, 3.5, 7]]  # one of a movie outside the release
    movies = [f'{m},"Movie {m}",{GENRES[m % 3]}|IMAX' for m in IDS[:-3]]
    movies += [f"{m},none,(no genres listed)" for m in IDS[-3:]]
    return {
        "ratings.csv": csv_text(["userId", "movieId", "rating", "timestamp"], rows).encode(),
        "movies.csv": ("movieId,title,genres\n" + "\n".join(movies) + "\n").encode(encoding),
    }


def summary_of(movie: int) -> str:
    random = np.random.default_rng(movie)
    return f"A comedy of {' '.join(random.choice([f'word{i}' for i in range(25)], 12))} and a genuine western."


def people_of(movie: int) -> tuple[str, list[str]]:
    return f"Director {movie % 4}", [f"Actor {(movie + i) % 9}" for i in range(7)]


def plain_table() -> pd.DataFrame:
    """Texts and metadata that a user brings, by movieId."""
    rows = []
    for movie in WITH_TEXT:
        director, cast = people_of(movie)
        about = {"directors": director, "cast": "|".join(cast), "countries": "USA" if movie % 2 else "France"}
        rows.append(
            {"movieId": movie, "overview": summary_of(movie), **about, "keywords": f"boat|war film|key {movie % 6}"}
        )
    return pd.DataFrame(rows)


def write_folder(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text.encode("latin1") if isinstance(text, str) else text)
    return folder


def zip_of(files: dict[str, str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, text in files.items():
            archive.writestr(name, text.encode("latin1") if isinstance(text, str) else text)
    return buffer.getvalue()


def everything(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def assert_nothing_left(out: Path) -> None:
    assert not out.exists() or list(out.iterdir()) == []
