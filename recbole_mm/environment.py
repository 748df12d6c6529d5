"""Versions of packages and memory use of the process, recorded with measurements."""

from __future__ import annotations

import platform
import resource
import sys
from importlib import metadata

PACKAGES = ("recbole", "torch", "numpy", "pandas", "scipy", "scikit-learn")


def peak_rss_mb() -> float:
    """Peak resident memory of this process, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def versions() -> dict[str, str]:
    """Versions of Python, this package and `PACKAGES`, which its results depend on."""
    from recbole_mm import __version__

    packages = {name: metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version(), "recbole-mm": __version__, **packages}
