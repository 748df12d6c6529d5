"""Columns of users' tables as ids, numbers, times, parts of a split, and texts of one line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from recbole_mm.errors import InputError
from recbole_mm.interchange.contents import TEST, TRAIN, VALID, Table

PARTS = {
    **dict.fromkeys(("0", "train", "training", "trn"), TRAIN),
    **dict.fromkeys(("1", "valid", "validation", "val", "dev"), VALID),
    **dict.fromkeys(("2", "test", "testing", "tst"), TEST),
}
_EXACT = 2.0**53  # larger whole numbers are not exact as floats


def ids_of(column: Sequence[Any] | np.ndarray | pd.Series, name: str, place) -> np.ndarray:
    """Ids as text, object [n]: 12 and 12.0 (which pandas makes of 12 beside an empty value) are '12'.

    Args:
        name: of the column, for messages.
        place: where row i is, for messages.

    Raises:
        InputError: an id is empty, is no text and no number, or holds a tab or a line break.
    """
    codes, found = pd.factorize(pd.Series(column), use_na_sentinel=True)
    plain = np.empty(len(found) + 1, dtype=object)
    plain[-1] = None  # the code of what is missing is -1
    for i, value in enumerate(found):
        plain[i] = _id(value)
    ids = plain[codes]
    wrong = np.array([_wrong_id(value) for value in plain], dtype=object)[codes]
    bad = wrong != ""
    if bad.any():
        row = int(np.argmax(bad))
        raise InputError(f"{place(row)}: column '{name}': {wrong[row]}; correct or remove the row")
    return ids


def _id(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace").strip()
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, (float, np.floating)) and np.isfinite(value) and float(value).is_integer():
        return str(int(value))
    if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
        return str(value)
    return value


def _wrong_id(value: Any) -> str:
    if value is None or (isinstance(value, str) and not value):
        return "the id is empty"
    if not isinstance(value, str):
        return f"{value!r} is no id, which is a text or a number"
    if any(character in value for character in "\t\n\r\0"):
        return f"the id {value!r} holds a tab, a line break or a NUL, which the files of a data set cannot hold"
    if value == "[PAD]":
        return "the id '[PAD]' is RecBole's own word for no item"
    return ""


def numbers_of(column: pd.Series, name: str, table: Table) -> np.ndarray:
    """Numbers, float64 [n], all finite.

    Raises:
        InputError: a value is none.
    """
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    bad = ~np.isfinite(numbers) | (np.abs(numbers) > np.finfo(np.float32).max)
    if bad.any():
        row = int(np.argmax(bad))
        raise InputError(
            f"{table.place(row)}: column '{name}' is '{column.iloc[row]}', which is no number; correct or "
            f"remove the row"
        )
    return numbers


def times_of(column: pd.Series, name: str, table: Table) -> np.ndarray:
    """Times as numbers, float64 [n], NaN where there is none; dates become seconds since 1970 (UTC).

    Raises:
        InputError: a value is no number and no date, or too large a number to be exact.
    """
    if pd.api.types.is_datetime64_any_dtype(column):
        return _seconds(pd.Series(column))
    empty = (column.isna() | column.astype(str).str.strip().isin(["", "nan", "NaN", "None"])).to_numpy()
    numbers = pd.to_numeric(column.where(~empty), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    bad = np.isnan(numbers) & ~empty
    if bad.any():
        dates = pd.to_datetime(column.where(~empty).astype(str), errors="coerce", utc=True, format="ISO8601")
        bad = dates.isna().to_numpy() & ~empty
        numbers = _seconds(dates)
    bad |= np.abs(numbers) > _EXACT
    if bad.any():
        row = int(np.argmax(bad))
        raise InputError(
            f"{table.place(row)}: column '{name}' is '{column.iloc[row]}', but a time is a number of at most "
            f"2^53, such "
            f"as seconds since 1970, or a date such as 2024-03-01 20:15; correct it or leave it empty"
        )
    return numbers


def _seconds(dates: pd.Series) -> np.ndarray:
    utc = dates.dt.tz_convert("UTC").dt.tz_localize(None) if dates.dt.tz is not None else dates
    seconds = utc.astype("datetime64[ns]").to_numpy().astype(np.int64) / 1e9
    return np.where(dates.isna().to_numpy(), np.nan, np.round(seconds, 3))


def parts_of(column: pd.Series, name: str, table: Table) -> np.ndarray:
    """Part of each row, int [n]: 0 training, 1 validation, 2 test, also written in words.

    Raises:
        InputError: a value is none of these, or no row is trained on or tested.
    """
    texts = column.astype(str).str.strip().str.lower().str.replace(r"\.0$", "", regex=True)
    parts = texts.map(PARTS)
    if parts.isna().any():
        row = int(np.argmax(parts.isna().to_numpy()))
        raise InputError(
            f"{table.place(row)}: column '{name}' is '{column.iloc[row]}', but a part is 0, 1, 2 or train, valid, test"
        )
    labels = parts.to_numpy(dtype=np.int64)
    for part, word in ((TRAIN, "training"), (TEST, "test")):
        if not (labels == part).any():
            raise InputError(
                f"{table.name}: column '{name}' gives no row to the {word} part; a published split needs it (or leave "
                f"the column out, and a protocol splits the rows)"
            )
    return labels


def texts_of(column: pd.Series) -> list[str]:
    """Texts of one line each, without tabs; '' where there is none. 1995.0 is '1995'."""
    return [_text(value) for value in column.tolist()]


def _text(value: Any) -> str:
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return " ".join(str(value).replace("\0", " ").split())
