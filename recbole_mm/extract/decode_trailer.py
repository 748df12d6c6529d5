"""The process that decodes a trailer: the file comes in at standard input, numbers as JSON go out.

    python -m recbole_mm.extract.decode_trailer '{"audio": ["audio", null]}' < trailer.mp4

It can write no file. A file that asks for too much ends this process alone.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Mapping
from typing import Any

from recbole_mm.extract.decode import MediaError, stated_seconds
from recbole_mm.extract.trailer import MAX_SECONDS, STATISTICS

_MEMORY, _PROCESSOR_SECONDS = 4 << 30, 240


def main(wanted: Mapping[str, tuple[str, float | None]]) -> dict[str, dict[str, Any]]:
    """``numbers`` and ``problems`` of each field of ``wanted``: name -> (key of `STATISTICS`, seconds to use)."""
    content = sys.stdin.buffer.read()
    numbers, problems = {}, {}
    for name, (statistics, seconds) in wanted.items():
        try:
            length = stated_seconds(io.BytesIO(content))
            if length > MAX_SECONDS:
                raise MediaError(f"is {length / 60:.0f} minutes long, but a trailer has at most {MAX_SECONDS // 60}")
            compute, _, _ = STATISTICS[statistics]
            numbers[name] = compute(io.BytesIO(content), min(seconds or MAX_SECONDS, MAX_SECONDS)).tolist()
        except MediaError as error:
            problems[name] = str(error)
    return {"numbers": numbers, "problems": problems}


def limit_this_process() -> None:
    """No file of any size, some gigabytes of memory, minutes of a processor; nothing where the system has no limits."""
    try:
        import resource
    except ImportError:
        return
    for name, most in (("FSIZE", 0), ("CORE", 0), ("AS", _MEMORY), ("CPU", _PROCESSOR_SECONDS)):
        with contextlib.suppress(AttributeError, ValueError, OSError):  # a limit that this system does not have
            kind = getattr(resource, f"RLIMIT_{name}")
            _, hard = resource.getrlimit(kind)
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(kind, (most, most))


if __name__ == "__main__":
    limit_this_process()
    print(json.dumps(main(json.loads(sys.argv[1]))))
