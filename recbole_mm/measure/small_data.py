"""A small data set with every file that some kind of RecBole's models reads; written in a moment, no one's data.

Users like one of three kinds of films. A film's kind is its genre, an attribute in the knowledge graph, and a direction
of its entity's vector, so that each kind of model has something to learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

NAME = "small"
USERS, ITEMS, PER_USER = 30, 110, 20
GENRES = ("Action", "Comedy", "Drama")


def write_small_data(folder: Path, seed: int = 1) -> Path:
    """Write the atomic files of the data set `NAME` into ``folder/small``.

    Files: .inter, .user, .item; .kg and .link (a knowledge graph); .ent and .rel (vectors of entities and relations,
    which GRU4RecKG and KSR read).

    Returns:
        ``folder``, the option ``data_path``.
    """
    random = np.random.default_rng(seed)
    target = folder / NAME
    target.mkdir(parents=True, exist_ok=True)
    kind, taste = np.arange(ITEMS) % 3, np.arange(USERS) % 3
    ratings = []
    for user in range(USERS):
        weights = np.where(kind == taste[user], 4.0, 1.0)
        films = random.choice(ITEMS, PER_USER, replace=False, p=weights / weights.sum())
        times = np.sort(random.choice(10_000, PER_USER, replace=False))
        for film, time in zip(films, times):
            liked = kind[film] == taste[user]
            ratings.append(
                (f"u{user}", f"i{film}", int(random.integers(4, 6) if liked else random.integers(1, 4)), time)
            )
    _write(target / f"{NAME}.inter", "user_id:token item_id:token rating:float timestamp:float", ratings)
    users = [(f"u{user}", 20 + user % 40, "FM"[user % 2], ("artist", "writer")[user % 2]) for user in range(USERS)]
    _write(target / f"{NAME}.user", "user_id:token age:token gender:token occupation:token", users)
    items = [(f"i{i}", f"Film {i}", 1990 + i % 9, GENRES[kind[i]] + " Film" * (i % 4 == 0)) for i in range(ITEMS)]
    _write(target / f"{NAME}.item", "item_id:token movie_title:token_seq release_year:token class:token_seq", items)
    edges = [(f"e{i}", "of_kind", f"kind{kind[i]}") for i in range(ITEMS)]
    edges += [(f"e{i}", "directed_by", f"person{i % 17}") for i in range(ITEMS)]
    _write(target / f"{NAME}.kg", "head_id:token relation_id:token tail_id:token", edges)
    _write(target / f"{NAME}.link", "item_id:token entity_id:token", [(f"i{i}", f"e{i}") for i in range(ITEMS)])
    vectors = np.eye(3)[kind].repeat(22, axis=1)[:, :64] + random.normal(0, 0.3, (ITEMS, 64))
    _write(
        target / f"{NAME}.ent", "ent_id:token ent_emb:float_seq", [(f"e{i}", _text(vectors[i])) for i in range(ITEMS)]
    )
    relations = random.normal(0, 0.3, (2, 64))
    rows = [(name, _text(vector)) for name, vector in zip(("of_kind", "directed_by"), relations)]
    _write(target / f"{NAME}.rel", "rel_id:token rel_emb:float_seq", rows)
    return folder


def _text(vector: np.ndarray) -> str:
    return " ".join(f"{value:.3f}" for value in vector)


def _write(path: Path, header: str, rows: Sequence[Sequence[object]]) -> None:
    lines = [header.replace(" ", "\t"), *("\t".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
