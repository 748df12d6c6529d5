"""The short forms of the suites on real data: they run, and their numbers are where they should be."""

from __future__ import annotations

import pandas as pd
import pytest

from recbole_mm.cli.main import main


@pytest.mark.slow
@pytest.mark.parametrize("suite", ["rating", "ranking"])
def test_the_short_form_of_a_suite_is_within_its_bands(suite, ml_100k_mm, tmp_path, capsys):
    assert main(["benchmark", f"--suite={suite}", "--quick", f"--out={tmp_path / 'results'}"]) == 0, capsys.readouterr()
    runs = pd.read_csv(tmp_path / "results" / f"{suite}-quick.csv")
    assert runs["failure"].isna().all() and len(runs) == runs["row"].nunique() >= 3
