"""The two files of the anime data set in their exact layout, small and made up."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

USERS, ANIME = 40, 36
# Ids of anime that are left out: an adult title, one without a synopsis, one with two ratings.
ADULT, WITHOUT_SYNOPSIS, FEW = 34, 35, 36
GENRES = ("Mecha", "Slice of Life", "Comedy")
COLUMNS = ["item_id", "mal_id", "name", "genres", "type", "aired", "studios", "source", "synopsis", "adult"]


def ratings_text() -> str:
    random = np.random.default_rng(5)
    rows = []
    for user in range(1, USERS + 1):
        for anime in random.choice(np.arange(1, FEW), 28, replace=False):
            loved = anime % 3 == user % 3
            rows.append((user, int(anime), int(random.integers(8, 11) if loved else random.integers(1, 8))))
    rows += [(1, FEW, 9), (2, FEW, 9), (USERS + 1, 1, 9)]  # and a user with one rating
    return "User_ID\tAnime_ID\tFeedback\n" + "".join("\t".join(map(str, row)) + "\n" for row in rows)


def items_text() -> str:
    random = np.random.default_rng(6)
    rows = []
    for anime in range(1, ANIME + 1):
        words = " ".join(random.choice([f"word{i}" for i in range(30)], 25))
        synopsis = "" if anime == WITHOUT_SYNOPSIS else f"A mecha pilot and a comedy of {words}."
        name = f"Anime {anime} A&#039;s"
        about = [GENRES[anime % 3], ["TV", "Movie", "Music"][anime % 3], f"Apr {anime % 28 + 1}, {1990 + anime % 5}"]
        studios = f"Studio {anime % 4}, Mecha Works"
        rows.append([anime, "", name, *about, studios, ["Manga", "Novel"][anime % 2], synopsis, int(anime == ADULT)])
    return "\t".join(COLUMNS) + "\n" + "".join("\t".join(map(str, row)) + "\n" for row in rows)


def write_anime(folder: Path, ratings: str | None = None, items: str | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "anime_ratings.dat").write_text(ratings or ratings_text(), encoding="utf-8")
    with gzip.open(folder / "anime_items_joined.tsv.gz", "wt", encoding="utf-8") as handle:
        handle.write(items or items_text())
    return folder


class Lengths:
    """In place of the sentence encoder, which the tests do not install: numbers of characters and words."""

    def encode(self, texts, **_) -> np.ndarray:
        return np.array([[len(text), text.count(" "), text.count("1")] for text in texts], dtype=np.float32)
