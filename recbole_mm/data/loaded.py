"""What RecBole has loaded against what the files hold: a row that is lost is an error, or said with the count."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from recbole.utils import ModelType

from recbole_mm.data.atomic import AtomicFiles, read_column
from recbole_mm.data.ids import same_but_written_otherwise
from recbole_mm.errors import InputError

logger = logging.getLogger(__name__)

# Options of RecBole that leave rows out, and the values with which they leave out none.
FILTERS = {
    "rm_dup_inter": (None,),
    "val_interval": (None, {}),
    "user_inter_num_interval": (None, "[0,inf)"),
    "item_inter_num_interval": (None, "[0,inf)"),
    "filter_inter_by_user_or_item": (None, False),
}


def filters_of(config) -> list[str]:
    """Options of the run that ask for rows to be left out."""
    return [option for option, none in FILTERS.items() if config[option] not in none]


def check_loaded(dataset: Any, config, files: AtomicFiles) -> None:
    """Compare the rows and ids of a data set that is loaded, not yet split, with its files.

    Rated users and items without a row in their file keep their ratings and have empty features, which is logged once.

    Raises:
        InputError: rows are missing and no filter was asked for, or an id is written in two ways ('12' and '12.0').
    """
    in_file, loaded, filters = sum(files.inter.values()), len(dataset.inter_feat), filters_of(config)
    path = next(iter(files.inter))
    if hasattr(dataset, "item2entity"):
        filters.append("the knowledge graph (RecBole drops items without an entity in .link and .kg)")
    if config["benchmark_filename"] and filters_of(config):
        logger.warning(
            "%s: %s: RecBole does not filter data that are split already", path, ", ".join(filters_of(config))
        )
    elif loaded < in_file and filters:
        logger.warning("%s: %d of %d rows are left out by %s", path, in_file - loaded, in_file, ", ".join(filters))
    if loaded != in_file and (config["benchmark_filename"] or not filters):
        row, ids = _first_lost(dataset, config, files)
        raise InputError(
            f"{path}: {loaded} of {in_file} rows were loaded, and no option asks to leave any out; the first lost row "
            f"is row {row} ({ids}): correct or remove it"
        )
    for source, field in (("user", dataset.uid_field), ("item", dataset.iid_field)):
        known = dataset.field2token_id[field]
        _check_spaces(path, field, known)
        if source not in files.ids or getattr(dataset, f"{source}_feat") is None:
            continue
        feature_file = path.parent / f"{dataset.dataset_name}.{source}"
        ids = files.ids[source]
        lost = [token for token in ids if token not in known]
        if lost and not filters:
            raise InputError(
                f"{feature_file}: {len(lost)} of {len(ids)} rows were not loaded, first {field} '{lost[0]}'"
            )
        _tell_without_row(dataset, field, feature_file, ids, path)


def _first_lost(dataset: Any, config, files: AtomicFiles) -> tuple[int, str]:
    """Number (from 1) and ids of the first row of the files that is not loaded at its place."""
    fields = (dataset.uid_field, dataset.iid_field)
    told = pd.DataFrame({field: pd.concat([read_column(p, config, field) for p in files.inter]) for field in fields})
    rows = dataset.inter_feat
    kept = pd.DataFrame({f: dataset.field2id_token[f][rows[f].to_numpy().astype(int)] for f in fields})
    length = min(len(told), len(kept))
    differ = (told.to_numpy()[:length] != kept.to_numpy()[:length]).any(axis=1)
    first = int(np.argmax(differ)) if differ.any() else length
    ids = ", ".join(f"{field} '{value}'" for field, value in told.iloc[min(first, len(told) - 1)].items())
    return first + 1, ids


def _check_spaces(path: Path, field: str, tokens: Collection[str]) -> None:
    """No id is another one with spaces around it."""
    for token in tokens:
        if token != token.strip() and token.strip() in tokens:
            raise InputError(f"{path}: {field} '{token}' and '{token.strip()}' differ by a space; write one of them")


def _tell_without_row(dataset: Any, field: str, feature_file: Path, ids: list[str], path: Path) -> None:
    tokens = dataset.field2id_token[field]
    rated = np.zeros(len(tokens), bool)
    rated[dataset.inter_feat[field].to_numpy().astype(np.int64)] = True
    with_row = set(ids)
    without = [token for token in tokens[rated].tolist() if token not in with_row]
    if not without:
        return
    pair = same_but_written_otherwise(without, ids)
    if pair:
        raise InputError(
            f"{path}: {field} '{pair[0]}' has no row in {feature_file.name}, which has '{pair[1]}'; write ids in the "
            f"same way in all files ({len(without)} of {int(rated.sum())} have no row)"
        )
    logger.warning(
        "%s: no row for %d of the %d ids of %s that are rated, first '%s': their ratings are kept, and their fields "
        "are empty",
        feature_file,
        len(without),
        int(rated.sum()),
        field,
        without[0],
    )


def check_repeated_pairs(dataset: Any, config, parts: Iterable[Any]) -> None:
    """Say how many rows repeat a (user, item) pair, and refuse pairs that stand in several parts of the split.

    There the pair that is asked for in the test would be one that was trained on. Models of sequences are the
    exception: a repeated item is one to predict.

    Raises:
        InputError: with the number of such pairs and the first.
    """
    user, item, items = dataset.uid_field, dataset.iid_field, dataset.item_num
    keys = [part.inter_feat[user].numpy().astype(np.int64) * items + part.inter_feat[item].numpy() for part in parts]
    together = np.sort(np.concatenate(keys))
    repeats = together[1:] == together[:-1]
    if not repeats.any():
        return
    several = np.unique(together[1:][repeats])
    first = several[0]
    in_parts = np.zeros(len(several), int)
    for key in keys:
        in_parts += np.isin(several, key)
    apart = several[in_parts > 1]
    name = f"{dataset.dataset_name}.inter"

    def shown(key: int) -> str:
        users, movies = dataset.field2id_token[user], dataset.field2id_token[item]
        return f"{user} '{users[key // items]}', {item} '{movies[key % items]}'"

    if len(apart) and config["MODEL_TYPE"] != ModelType.SEQUENTIAL:
        of_files = config["benchmark_filename"] or config["split_by"] in ("file_fold", "label")
        remedy = "remove all but one of its rows from the file"
        if not of_files:
            remedy += ", or set rm_dup_inter: last (or first) to keep the last by time"
        raise InputError(
            f"{name}: {len(apart)} pairs of user and item are rated several times, and protocol '{config['protocol']}' "
            f"puts them into several parts, so that tested pairs would be trained on; the first is {shown(apart[0])}: "
            f"{remedy}"
        )
    logger.warning("%s: %d rows repeat a pair of user and item, first %s", name, int(repeats.sum()), shown(first))
