from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata

import numpy as np
import pytest

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


@pytest.mark.parametrize(
    "chosen, before, expected",
    [
        ({}, "", "PASSIVE 10000"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "", "ACTIVE None"),
        ({"GOMP_SPINCOUNT": "7"}, "", "None 7"),
        ({"KMP_BLOCKTIME": "7"}, "", "None None"),
        ({}, "import torch;", "None None"),  # too late: torch has read it
    ],
)
def test_threads_sleep_where_the_user_has_not_chosen(chosen, before, expected):
    names = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
    environment = {name: value for name, value in os.environ.items() if name not in names} | chosen
    code = f"{before}import recbole_mm, os; print(*map(os.environ.get, {names[:2]}))"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected
