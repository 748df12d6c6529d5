"""Ids that are the same but for how they are written."""

from __future__ import annotations

from collections.abc import Iterable


def same_but_written_otherwise(some: Iterable[str], others: Iterable[str]) -> tuple[str, str] | None:
    """The first id of ``some`` that is an id of ``others`` but for spaces, quotation marks or a final '.0'."""
    written = {_plain(token): token for token in others}
    for token in some:
        other = written.get(_plain(token))
        if other is not None and other != token:
            return token, other
    return None


def _plain(token: str) -> str:
    token = token.strip(" \t\"'\u00a0")
    return token[:-2] if token.endswith(".0") and token[:-2].isdecimal() else token
