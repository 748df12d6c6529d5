"""Versions of packages and memory use of the process, recorded with measurements; how its threads wait."""

from __future__ import annotations

import os
import platform
import resource
import sys
from importlib import metadata

PACKAGES = ("recbole", "torch", "numpy", "pandas", "scipy", "scikit-learn")


# Each of them says how threads wait for each other: OpenMP's own, libgomp's, Intel's.
_WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
# Turns in which a thread of libgomp waits before it sleeps, about a tenth of a millisecond.
_TURNS = "10000"


def let_threads_sleep() -> bool:
    """Let threads of OpenMP that wait for each other soon sleep instead of spinning; returns whether anything was set.

    By default they spin for milliseconds at the end of each of torch's loops. On a machine that does other work too, a
    thread then spins while the one it waits for has no core, and an epoch takes a hundred times as long. A thread that
    sleeps at once wakes too late for the next loop where the machine is idle, and an epoch takes half as long again
    (docs/reliability.md). Nothing is set if the user has chosen, or if torch is loaded, which reads this only then.
    """
    if "torch" in sys.modules or any(name in os.environ for name in _WAITING):
        return False
    os.environ |= {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": _TURNS}
    return True


def peak_rss_mb() -> float:
    """Peak resident memory of this process, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def versions() -> dict[str, str]:
    """Versions of Python, this package and `PACKAGES`, which its results depend on."""
    from recbole_mm import __version__

    packages = {name: metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version(), "recbole-mm": __version__, **packages}
