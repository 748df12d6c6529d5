"""What a measurement depends on besides its options: versions and memory."""

from __future__ import annotations

import platform
import resource
import sys
from importlib import metadata

PACKAGES = ("recbole", "torch", "numpy", "pandas", "scipy", "scikit-learn")


def peak_rss_mb() -> float:
    """The most memory that this process has held, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def versions() -> dict[str, str]:
    """Of Python, this package and what its numbers come from."""
    from recbole_mm import __version__

    known = {name: metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version(), "recbole-mm": __version__, **known}
