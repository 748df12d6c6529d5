"""From `Contents` to the files of other tools: MMRec's folder, or parquet tables."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from recbole_mm.config.sources import write_value
from recbole_mm.datasets.atomic_writer import replacing_folder
from recbole_mm.datasets.leftovers import clean_leftovers
from recbole_mm.errors import InputError
from recbole_mm.files import why
from recbole_mm.interchange.contents import TEST, TRAIN, VALID, Contents
from recbole_mm.interchange.table_files import write_parquet

_SPLIT_SEED = 14
_OWN = re.compile(r".*\.(inter|yaml|parquet)|.*_feat\.npy|missing_.*\.txt|[ui]_id_mapping\.csv")


def export(contents: Contents, tool: str, name: str, folder: Path, force: bool) -> list[str]:
    """Write the files of a tool into ``folder``; they appear all or not at all.

    Args:
        tool: a key of `WRITERS`.
        name: of the data set.
        force: replace what the folder holds.

    Returns:
        What was written and chosen, one line each.

    Raises:
        InputError: the folder holds files already, or cannot be written to.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())) and not force:
        raise InputError(f"{folder}: holds files already; choose another folder (--out), or replace them with --force")
    try:
        clean_leftovers(folder, is_exported)
        with replacing_folder(folder, is_exported) as place:
            notes = WRITERS[tool](contents, name, place)
            written = sorted(path.name for path in place.iterdir())
    except OSError as error:
        raise InputError(f"{folder}: {why(error)}; free some space, or choose another place") from error
    return [*notes, f"written: {folder}: {', '.join(written)}"]


def is_exported(file: str) -> bool:
    """Whether a file of this name is written here; all others are the user's, and stay."""
    return _OWN.fullmatch(file) is not None


def write_mmrec(contents: Contents, name: str, folder: Path) -> list[str]:
    """MMRec's layout. It numbers users and items from 0, and has a vector for every item.

    An item without a vector gets the mean of the others, since MMRec has no mask; ``missing_FIELD.txt`` names these
    items. Data without a published split are split 8:1:1 per user at random.
    """
    rows, notes = contents.interactions, []
    users = pd.unique(rows["user_id"])
    items = pd.unique(pd.concat([rows["item_id"], contents.items["item_id"]]))
    user_number, item_number = (pd.Series(np.arange(len(ids)), index=ids) for ids in (users, items))
    table = pd.DataFrame(
        {
            "userID": user_number[rows["user_id"]].to_numpy(),
            "itemID": item_number[rows["item_id"]].to_numpy(),
            "rating": rows.get("rating", 1.0),
            "timestamp": rows["timestamp"].fillna(0).astype(np.int64) if "timestamp" in rows else 0,
            "x_label": rows["x_label"] if "x_label" in rows else _random_parts(rows["user_id"]),
        }
    )
    if "x_label" not in rows:
        notes.append(f"split: none is published, so it is 8:1:1 per user at random (seed {_SPLIT_SEED})")
    table.to_csv(folder / f"{name}.inter", sep="\t", index=False, lineterminator="\n")
    for file, ids, own, theirs in (
        ("u_id_mapping.csv", users, "user_id", "userID"),
        ("i_id_mapping.csv", items, "item_id", "itemID"),
    ):
        mapping = pd.DataFrame({own: ids, theirs: np.arange(len(ids))})
        mapping.to_csv(folder / file, sep="\t", index=False, lineterminator="\n")
    for field, vectors in contents.vectors.items():
        matrix = np.tile(vectors.values.mean(axis=0), (len(items), 1)).astype(np.float32)
        matrix[item_number[vectors.item_ids].to_numpy()] = vectors.values
        np.save(folder / f"{field}_feat.npy", matrix)
        missing = sorted(set(items) - set(vectors.item_ids.tolist()))
        if missing:
            (folder / f"missing_{field}.txt").write_text("\n".join(missing) + "\n", encoding="utf-8")
            notes.append(
                f"{field}: {len(missing):,} of {len(items):,} items have no vector and get the mean of the others; "
                f"missing_{field}.txt names them"
            )
    options = {
        **{"USER_ID_FIELD": "userID", "ITEM_ID_FIELD": "itemID", "TIME_FIELD": "timestamp"},
        **{"filter_out_cod_start_users": True, "inter_file_name": f"{name}.inter", "field_separator": "\t"},
    }
    known = {"image": "vision_feature_file", "visual": "vision_feature_file"}
    known |= {"text": "text_feature_file", "textual": "text_feature_file"}
    options |= {known[field]: f"{field}_feat.npy" for field in contents.vectors if field in known}
    text = "".join(f"{key}: {write_value(value)}\n" for key, value in options.items())
    (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return notes


def write_parquet_files(contents: Contents, name: str, folder: Path) -> list[str]:
    """ratings.parquet, items.parquet, users.parquet, and FIELD.parquet with a column of lists."""
    write_parquet(folder / "ratings.parquet", contents.interactions)
    items = contents.items
    if "class" in items:
        items = items.assign(genres=[text.split() for text in items["class"]]).drop(columns="class")
    write_parquet(folder / "items.parquet", items)
    if contents.users is not None:
        write_parquet(folder / "users.parquet", contents.users)
    for field, vectors in contents.vectors.items():
        frame = pd.DataFrame({"item_id": vectors.item_ids.astype(object), "vector": list(vectors.values)})
        write_parquet(folder / f"{field}.parquet", frame)
    return []


WRITERS: dict[str, Callable[[Contents, str, Path], list[str]]] = {
    "mmrec": write_mmrec,
    "parquet": write_parquet_files,
}
"""Tool -> how a data set is written for it."""


def _random_parts(users: pd.Series) -> np.ndarray:
    """Part of each row: per user, a tenth (rounded) validation and test, at least one of each from three rows on."""
    random = np.random.default_rng(_SPLIT_SEED)
    parts = np.full(len(users), TRAIN)
    for rows in users.groupby(users, sort=False).indices.values():
        if len(rows) < 3:
            continue
        size = max(1, round(len(rows) / 10))
        drawn = random.permutation(rows)
        parts[drawn[:size]], parts[drawn[size : 2 * size]] = TEST, VALID
    return parts
