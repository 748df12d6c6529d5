from __future__ import annotations

import subprocess
import sys


def test_a_model_whose_module_switches_on_the_search_for_anomalies_runs_without_it():
    """RecBole's module of SINE does so when it is imported, so this needs a process that has not."""
    code = (
        "import torch\n"
        "from recbole_mm.model.registry import get_model\n"
        "get_model('SINE')\n"
        "assert 'recbole.model.sequential_recommender.sine' in __import__('sys').modules\n"
        "print(torch.is_anomaly_enabled())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
