"""Which column of a table is what: names given, or recognised."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pandas as pd

from recbole_mm.errors import InputError, nearest
from recbole_mm.interchange.contents import Table

# What the column of each role is called in public data sets and tools, letters and digits only.
NAMES: dict[str, tuple[str, ...]] = {
    "user": ("userid", "user", "uid", "users", "reviewerid", "useridx", "userindex"),
    "item": (
        *("itemid", "item", "iid", "items", "movieid", "movie", "itemidx", "itemindex", "asin", "parentasin"),
        *("productid", "product", "trackid", "songid", "videoid", "businessid", "bookid", "isbn", "animeid"),
    ),
    "rating": ("rating", "ratings", "score", "stars", "overall", "rate"),
    "time": ("timestamp", "time", "ts", "unixreviewtime", "datetime", "date"),
    "split": ("xlabel", "split"),
    "title": ("movietitle", "title", "name"),
    "year": ("releaseyear", "year"),
    "genres": ("genres", "genre", "class", "categories", "category"),
}
OF_RATINGS = ("user", "item", "rating", "time", "split")
OF_ITEMS = ("item", "title", "year", "genres")
OF_USERS = ("user",)
# With two columns that could be it, a guess would build another data set.
_NEVER_GUESSED = ("user", "item", "rating", "split")


def find_columns(table: Table, roles: Sequence[str], needed: Sequence[str], given: Mapping[str, str]) -> dict[str, str]:
    """Role -> column of the table, for the roles that it has.

    Args:
        roles: keys of `NAMES` that the table can have.
        needed: roles without which the table is of no use.
        given: role -> column, as the user says; roles of other tables are ignored.

    Raises:
        InputError: a column that was given is not there, a needed one is not recognised, or two columns could be one.
    """
    columns = [str(column) for column in table.frame.columns]
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise InputError(f"{table.name}: column '{twice[0]}' is there twice; rename one")
    plain = {column: _plain(column) for column in columns}
    found: dict[str, str] = {}
    for role in roles:
        if role in given:
            if given[role] not in columns:
                raise InputError(
                    f"{table.name}: there is no column '{given[role]}' ({role}).{nearest(given[role], columns)} "
                    f"Columns: {', '.join(columns)}"
                )
            found[role] = given[role]
            continue
        fitting = [column for name in NAMES[role] for column in columns if plain[column] == name]
        fitting = [column for column in fitting if column not in given.values()]
        if len(fitting) > 1 and role in _NEVER_GUESSED:
            raise InputError(
                f"{table.name}: columns {', '.join(fitting)} could each be the {role}; say which: "
                f"--columns {role}={fitting[0]} (in Python: columns={{'{role}': '{fitting[0]}'}})"
            )
        if fitting:
            found[role] = fitting[0]
    for role in needed:
        if role not in found:
            shown = ", ".join(columns) if len(columns) <= 20 else f"{', '.join(columns[:20])}, …"
            raise InputError(
                f"{table.name}: no column is recognised as the {role} (columns: {shown}). Name it: --columns "
                f"{role}=COLUMN (in Python: columns={{'{role}': 'COLUMN'}}); a file without a header line needs one"
            )
    _check_one_role_each(table, found)
    return found


def check_roles(given: Mapping[str, str]) -> None:
    """Refuse names of roles that there are not."""
    for role in given:
        if role not in NAMES:
            raise InputError(f"columns: '{role}' is none of {', '.join(NAMES)}.{nearest(role, NAMES)}")


def named(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with names of columns as text."""
    return frame.rename(columns={column: str(column) for column in frame.columns})


def _plain(column: str) -> str:
    """'userID', 'user_id:token' and 'User Id' are one name."""
    name = re.sub(r":(token|float|token_seq|float_seq)$", "", column)
    return re.sub(r"[\W_]", "", name.lower())


def _check_one_role_each(table: Table, found: Mapping[str, str]) -> None:
    roles: dict[str, str] = {}
    for role, column in found.items():
        if column in roles:
            raise InputError(
                f"{table.name}: column '{column}' is both {roles[column]} and {role}; name another column for one"
            )
        roles[column] = role
