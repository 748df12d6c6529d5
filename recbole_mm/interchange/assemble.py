"""From tables and vectors as users have them to `Contents`: recognised, checked, and told line by line."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd

from recbole_mm.data.ids import same_but_written_otherwise
from recbole_mm.data.vector_table import VectorTable
from recbole_mm.errors import InputError
from recbole_mm.interchange.cells import ids_of, numbers_of, parts_of, texts_of, times_of
from recbole_mm.interchange.columns import OF_ITEMS, OF_RATINGS, OF_USERS, check_roles, find_columns, named
from recbole_mm.interchange.contents import TEST, TRAIN, VALID, Contents, RawVectors, Table
from recbole_mm.interchange.genres import count_line, genre_lists, written_genres

FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
TAKEN = ("inter", "item", "user", "kg", "link", "net", "yaml", "npz")  # endings of other files of a data set
LIKED = 0.75  # part of the way from the lowest to the highest rating from which on a movie is liked: 4 of 1 to 5
_ORDER_SEED = 14


def assemble(
    ratings: Table,
    items: Table | None = None,
    users: Table | None = None,
    vectors: Mapping[str, RawVectors] | None = None,
    columns: Mapping[str, str] | None = None,
    genre_separator: str | None = None,
    like_threshold: float | None = None,
    keep_order: bool = False,
) -> Contents:
    """A data set from tables and vectors.

    Ratings that are all the same say only that a user met an item, so they are left out. Of rows that repeat a pair of
    user and item the last by time is kept, and told; rows of a published split stay as they are. Rows are put into
    random order, since the protocols u1 to u5 are blocks of rows, unless a column says their part or ``keep_order``.

    Args:
        vectors: field -> vectors.
        columns: role -> column, where a column is not recognised by its name (`recbole_mm.interchange.columns.NAMES`).
        genre_separator: what stands between two genres; by default it is found.
        like_threshold: rating from which on a movie is liked; by default three quarters of the scale.

    Raises:
        InputError: naming the table, the line and the column of what is wrong.
    """
    given = dict(columns or {})
    check_roles(given)
    notes: list[str] = []
    interactions = _interactions(ratings, given, notes)
    if "x_label" not in interactions:
        interactions = _once(interactions, notes)
        if not keep_order:
            interactions = interactions.sample(frac=1, random_state=_ORDER_SEED).reset_index(drop=True)
    rated = pd.unique(interactions["item_id"])
    contents = Contents(interactions, pd.DataFrame({"item_id": rated}), notes=notes)
    if items is not None:
        contents.items = _items(items, given, genre_separator, rated, notes)
    if users is not None:
        contents.users = _users(users, given, pd.unique(interactions["user_id"]), notes)
    for field, raw in (vectors or {}).items():
        check_field(field)
        contents.vectors[field] = _vectors(field, raw, set(rated) | set(contents.items["item_id"]), notes)
    contents.options = _options(contents, like_threshold, notes)
    return contents


def check_field(field: str) -> None:
    """Refuse a name that no vector field can have."""
    if not FIELD.fullmatch(field) or field in TAKEN:
        raise InputError(
            f"vectors: '{field}' is no name of a field; take letters, digits and '_', and none of {', '.join(TAKEN)}"
        )


def _told(found: Mapping[str, str]) -> str:
    return ", ".join(f"{role} is '{column}'" for role, column in found.items())


def _not_read(columns: list[str]) -> str:
    return f"; not read: {', '.join(columns[:8])}{', …' if len(columns) > 8 else ''}" if columns else ""


def _interactions(table: Table, given: Mapping[str, str], notes: list[str]) -> pd.DataFrame:
    table = Table(named(table.frame), table.name, table.lines)
    if not len(table.frame):
        raise InputError(f"{table.name}: has no row; give ratings")
    found = find_columns(table, OF_RATINGS, ("user", "item"), given)
    frame = table.frame
    interactions = pd.DataFrame(
        {f"{role}_id": ids_of(frame[found[role]], found[role], table.place) for role in ("user", "item")}
    )
    if "rating" in found:
        interactions["rating"] = numbers_of(frame[found["rating"]], found["rating"], table)
    if "time" in found:
        interactions["timestamp"] = times_of(frame[found["time"]], found["time"], table)
    if "split" in found:
        interactions["x_label"] = parts_of(frame[found["split"]], found["split"], table)
    counts = (
        f"{len(frame):,} of {interactions['user_id'].nunique():,} users and {interactions['item_id'].nunique():,} items"
    )
    others = [column for column in frame.columns if column not in found.values()]
    notes.append(f"ratings: {counts}; {_told(found)}{_not_read(others)}")
    if "rating" in interactions and interactions["rating"].nunique() == 1:
        only = interactions.pop("rating").iloc[0]
        notes.append(f"ratings: all are {only:g}, so they are left out: the rows say who met what, and tasks rank")
    elif "rating" not in interactions:
        notes.append("ratings: no column of ratings: the rows say who met what, and tasks rank")
    if "x_label" in interactions:
        sizes = [int((interactions["x_label"] == part).sum()) for part in (TRAIN, VALID, TEST)]
        drawn = "" if sizes[VALID] else "; a run draws its validation part from the training rows (valid_ratio)"
        told = "{:,} training, {:,} validation, {:,} test rows".format(*sizes)
        notes.append(f"split: kept as published: {told}{drawn}")
    return interactions


def _once(interactions: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Without rows whose pair of user and item comes again, later."""
    ordered = interactions
    if "timestamp" in interactions:
        ordered = interactions.sort_values("timestamp", kind="stable", na_position="first")
    repeated = ordered.duplicated(["user_id", "item_id"], keep="last").sort_index()
    if not repeated.any():
        return interactions
    first = interactions[repeated].iloc[0]
    notes.append(
        f"ratings: {int(repeated.sum()):,} rows repeat a pair of user and item (first: user '{first['user_id']}', item "
        f"'{first['item_id']}'); the last of each is kept"
    )
    return interactions[~repeated].reset_index(drop=True)


def _items(
    table: Table, given: Mapping[str, str], separator: str | None, rated: np.ndarray, notes: list[str]
) -> pd.DataFrame:
    table = Table(named(table.frame), table.name, table.lines)
    found = find_columns(table, OF_ITEMS, ("item",), given)
    frame = table.frame
    items = pd.DataFrame({"item_id": ids_of(frame[found["item"]], found["item"], table.place)})
    _check_once(items["item_id"], table)
    others = [column for column in frame.columns if column not in found.values()]
    notes.append(f"items: {len(items):,}; {_told(found)}{_not_read(others)}")
    for role, column in (("title", "movie_title"), ("year", "release_year")):
        if role in found:
            items[column] = texts_of(frame[found[role]])
    if "genres" in found:
        place = f"{table.name}: column '{found['genres']}'"
        genres, how = genre_lists(frame[found["genres"]].tolist(), place, separator)
        items["class"] = [written_genres(one) for one in genres]
        notes.append(count_line(items["class"].tolist(), how))
        if not items["class"].any():
            del items["class"]
    _check_overlap(items["item_id"].tolist(), rated, table.name, "items", notes)
    return items


def _users(table: Table, given: Mapping[str, str], rating: np.ndarray, notes: list[str]) -> pd.DataFrame:
    table = Table(named(table.frame), table.name, table.lines)
    found = find_columns(table, OF_USERS, ("user",), given)
    users = pd.DataFrame({"user_id": ids_of(table.frame[found["user"]], found["user"], table.place)})
    _check_once(users["user_id"], table)
    for column in table.frame.columns:
        name = re.sub(r":(token|float)(_seq)?$", "", column)
        name = re.sub(r"\W", "_", name) or "_"
        if column != found["user"] and name not in users and name not in ("item_id", "rating", "timestamp"):
            users[name] = texts_of(table.frame[column])
    notes.append(f"users: {len(users):,}; attributes: {', '.join(users.columns[1:]) or 'none'}")
    _check_overlap(users["user_id"].tolist(), rating, table.name, "users", notes)
    return users


def _check_once(ids: pd.Series, table: Table) -> None:
    repeated = ids.duplicated().to_numpy()
    if repeated.any():
        row = int(np.argmax(repeated))
        first = int(np.argmax((ids == ids.iloc[row]).to_numpy()))
        raise InputError(
            f"{table.place(row)}: '{ids.iloc[row]}' is there already ({table.place(first)}); remove one of them"
        )


def _check_overlap(ids: list[str], rated: np.ndarray, name: str, word: str, notes: list[str]) -> None:
    """Ids of another kind than those of the ratings are an error; how many have no row is told."""
    there = set(ids)
    without = [token for token in rated.tolist() if token not in there]
    if not without:
        return
    pair = same_but_written_otherwise(without, ids)
    if pair:
        raise InputError(
            f"{name}: has '{pair[1]}', which the ratings write '{pair[0]}'; write ids in the same way in all tables"
        )
    if len(without) == len(rated):
        raise InputError(
            f"{name}: none of its {len(ids):,} {word} is in the ratings (first: '{ids[0] if ids else ''}', in the "
            f"ratings: '{rated[0]}'); use the same ids in all tables"
        )
    notes.append(
        f"{name}: no row for {len(without):,} of {len(rated):,} {word} of the ratings, first '{without[0]}'; they stay"
    )


def _vectors(field: str, raw: RawVectors, items: set[str], notes: list[str]) -> VectorTable:
    """The vectors of known items, without those that stand for missing ones (inf, nan, all zero)."""
    ids = ids_of(raw.item_ids, field, raw.place)
    first: dict[str, int] = {}
    for row, token in enumerate(ids.tolist()):
        if first.setdefault(token, row) != row:
            raise InputError(
                f"{raw.place(row)}: field '{field}' has item '{token}' twice ({raw.place(first[token])}); keep one"
            )
    with np.errstate(over="ignore"):
        values = np.asarray(raw.values).astype(np.float32)
    known = np.array([token in items for token in ids], dtype=bool)
    if not known.any():
        pair = same_but_written_otherwise(ids.tolist(), items)
        hint = f"; '{pair[0]}' is '{pair[1]}' there" if pair else ""
        raise InputError(
            f"{raw.name}: none of the {len(ids):,} items of field '{field}' (first: "
            f"'{ids[0] if len(ids) else ''}') is an "
            f"item of the data set{hint}; give the vectors' own item ids, in the order of the rows"
        )
    finite = np.isfinite(values).all(axis=1)
    zero = finite & ~values.any(axis=1)
    kept = known & finite & ~zero
    if not kept.any():
        raise InputError(f"{raw.name}: field '{field}' has no vector of finite numbers that are not all zero")
    dropped = {
        "of other items": int((~known).sum()),
        "with inf or nan": int((known & ~finite).sum()),
        "all zero": int((known & zero).sum()),
    }
    left_out = "".join(f"; {number:,} {what} left out" for what, number in dropped.items() if number)
    notes.append(f"{field}: {int(kept.sum()):,} of {len(items):,} items have a vector, {values.shape[1]}-d{left_out}")
    return VectorTable(np.array(ids[kept].tolist(), dtype=np.str_), values[kept])


def _options(contents: Contents, like_threshold: float | None, notes: list[str]) -> dict[str, object]:
    """Options that the data set needs, for NAME.yaml."""
    interactions, items = contents.interactions, contents.items
    loaded = {"inter": [name for name in interactions if name != "x_label"], "item": list(items.columns)}
    if contents.users is not None:
        loaded["user"] = list(contents.users.columns)
    options: dict[str, object] = {"load_col": loaded, "modalities": list(contents.vectors)}
    if "rating" in interactions:
        low, high = float(interactions["rating"].min()), float(interactions["rating"].max())
        threshold = like_threshold
        if threshold is None:
            at_least = interactions["rating"][interactions["rating"] >= low + LIKED * (high - low)]
            threshold = float(at_least.min())
        liked = float((interactions["rating"] >= threshold).mean())
        if not low <= threshold <= high:
            raise InputError(
                f"--like-threshold={threshold:g}: the ratings go from {low:g} to {high:g}; a movie is liked from a "
                f"rating on that lies between"
            )
        options["like_threshold"] = threshold
        notes.append(
            f"likes: ratings go from {low:g} to {high:g}; from {threshold:g} on a movie is liked, {liked:.0%} "
            f"of the rows "
            f"(else give --like-threshold)"
        )
    elif like_threshold is not None:
        raise InputError("--like-threshold: there are no ratings to compare it with; leave it out")
    if "x_label" in interactions:
        options["protocol"] = "published"
    return options
