"""Damaged inputs for tests: each case is a correct load, equal to what an independent reader says, or an `InputError`.

A test runs a few hundred cases, and with the marker ``slow`` as many as RECBOLE_MM_FUZZ_CASES says (2,000):

    RECBOLE_MM_FUZZ_CASES=2500 pytest -n 0 -m slow -k fuzz -rP
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

CASES = int(os.environ.get("RECBOLE_MM_FUZZ_CASES", "2000"))
"""Cases of each slow test."""

WORDS = (
    *(b'"', b'""', b"\t", b"\n", b"\r", b"\r\n", b"\0", b" ", b"null", b"NA", b"nan", b"None", b"inf", b"1e39", b"-1"),
    *(b"5/1", b".0", b"|", b",", b"[", b"\xff", "é".encode(), "\u2028".encode(), b"\x1a", b"#", b"\\", b"'", b"0x1"),
)


@st.composite
def damaged(draw: st.DrawFn, files: Mapping[str, bytes], words: tuple[bytes, ...] = WORDS) -> dict[str, bytes]:
    """The files with one to three changes."""
    files = dict(files)
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from(sorted(files)))
        content = files[name]
        place = draw(st.integers(0, len(content)))
        how = draw(st.sampled_from(["insert", "replace", "delete", "repeat line", "drop line", "cut"]))
        if how == "insert":
            content = content[:place] + draw(st.sampled_from(words)) + content[place:]
        elif how == "replace":
            word = draw(st.sampled_from(words))
            content = content[:place] + word + content[place + len(word) :]
        elif how == "delete":
            content = content[:place] + content[place + draw(st.integers(1, 4)) :]
        elif how == "cut":
            content = content[:place]
        else:
            lines = content.split(b"\n")
            number = content.count(b"\n", 0, place)
            lines[number : number + 1] = [lines[number]] * (2 if how == "repeat line" else 0)
            content = b"\n".join(lines)
        files[name] = content
    return files


def run_cases(kind: str, strategy: st.SearchStrategy, check: Callable[..., bool], examples: int, folder: Path) -> None:
    """Check many cases, the same ones each time.

    Args:
        kind: of input, for the line of figures.
        check: whether the input was loaded; it has looked at what was loaded, or at the message.
        folder: where the cases may write.
    """
    loaded: list[bool] = []

    # No database and no shrinking: a failing case is small as it is, and the cases do not depend on earlier runs.
    @given(strategy)
    @settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
    )
    def case(value) -> None:
        loaded.append(check(value))

    here = Path.cwd()
    os.chdir(folder)
    try:
        case()
    finally:
        os.chdir(here)
    print(f"{kind}: {len(loaded):,} cases, {sum(loaded):,} loaded as they are, {len(loaded) - sum(loaded):,} refused")
    assert 0.02 < np.mean(loaded) < 0.98, "both happen"


def assert_says_what(message: str, *names: str) -> None:
    """One line that names a file."""
    assert any(name in message for name in names) and "\n" not in message, message
    assert "Traceback" not in message and "RecBole cannot prepare" not in message, message
