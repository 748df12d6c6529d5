"""Shares of a work that several processes do: ``--shard=i/n``."""

from __future__ import annotations

from recbole_mm.errors import InputError

ALL = "0/1"
"""The shard that is everything."""


def parse_shard(text: str) -> tuple[int, int]:
    """(i, n) of ``i/n``. Shard i does the batches whose number leaves the rest i.

    Raises:
        InputError: not of this form, or i is not from 0 to n - 1.
    """
    parts = text.split("/")
    if len(parts) == 2 and all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        shard, number = map(int, parts)
        if shard < number:
            return shard, number
    raise InputError(f"shard: '{text}', but must be such as 0/4, 1/4, 2/4 or 3/4")
