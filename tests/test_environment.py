from __future__ import annotations

from importlib import metadata

import numpy as np

from recbole_mm import __version__
from recbole_mm.environment import peak_rss_mb, versions


def test_the_peak_holds_what_was_allocated_in_mib():
    before = peak_rss_mb()
    held = np.ones(int(before + 64) * 2**20 // 8)  # more than the peak so far, whatever is free of it by now
    after = peak_rss_mb()
    assert held.nbytes / 2**20 < after < before + held.nbytes / 2**20 + 64


def test_versions_are_those_installed():
    known = versions()
    assert known["recbole-mm"] == __version__ and known["torch"] == metadata.version("torch")
