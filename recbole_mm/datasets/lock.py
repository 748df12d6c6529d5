"""One process at a time builds a data set; others wait, and read it when it is complete."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows, where two processes that build at once are not kept apart
    fcntl = None

PAUSE = 0.02  # seconds between two attempts
PATIENCE = 2.0  # seconds until a wait is told: to look whether a data set is complete takes less


@contextmanager
def building(folder: Path) -> Iterator[None]:
    """Hold the lock of a data set's folder while the block runs; wait while another process holds it.

    The lock is that of the system (`flock`) on the file ``.<folder>.lock`` beside the folder. So it ends with the
    process, also when that is killed. The file is removed by who holds the lock. Where no file can be written, nothing
    can be built, and there is no lock.
    """
    folder = folder.resolve()
    path = folder.with_name(f".{folder.name}.lock")
    made = not path.parent.exists()
    handle = None if fcntl is None else _locked(path)
    try:
        yield
    finally:
        if handle is not None:
            with suppress(OSError):
                path.unlink()
            os.close(handle)
            if made:  # and nothing was built
                with suppress(OSError):
                    path.parent.rmdir()


def _locked(path: Path) -> int | None:
    """The lock file, open and locked; None where there can be none."""
    told = time.monotonic() + PATIENCE
    while True:
        handle = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                held, handle = handle, None
                return held
        except BlockingIOError:
            if time.monotonic() > told:
                print(
                    f"recbole-mm: waiting: another process builds {path.name[1:-5]} in {path.parent}", file=sys.stderr
                )
                told = float("inf")
            time.sleep(PAUSE)
        except FileNotFoundError:  # the file, or its folder, was removed by who held the lock
            continue
        except OSError:  # a folder that cannot be written, or a file system without locks
            return None
        finally:
            if handle is not None:
                os.close(handle)
