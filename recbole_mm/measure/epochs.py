"""Seconds of a training epoch and of a full-catalogue evaluation, compared with those of the first model.

    python -m recbole_mm.measure.epochs [--rounds 5] [--dataset ml-100k-mm]
    python -m recbole_mm.measure.epochs --protocol ranking --models LightGCN FREEDOM BM3

All models run in one process and take turns, one epoch each. So a change of the machine's speed affects all of them.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from statistics import median
from time import perf_counter

import torch
from tabulate import tabulate

from recbole_mm.config.config import Config
from recbole_mm.training.session import Session, prepare_session

MODELS = ("FM", "MMFS", "MMSP", "MMASP")


def measure(
    dataset: str,
    rounds: int,
    options: dict | None = None,
    models: Sequence[str] = MODELS,
    protocol: str = "u1",
) -> list[dict]:
    """One row for each model: median seconds of an epoch and of ranking the test users (``ranking``).

    Args:
        dataset: name of a dataset below ``data_path``.
        rounds: measured epochs of each model, after one epoch to warm up.
        options: more options of the runs.
        models: names; the others are compared with the first.
        protocol: of the epochs.
    """
    sessions = {model: _session(model, dataset, protocol, options) for model in models}
    seconds: dict[str, list[float]] = {model: [] for model in models}
    for epoch in range(rounds + 1):
        for model, session in sessions.items():
            seconds[model].append(session.trainer.train_epoch(session.train_data, epoch))
    rows = []
    for model, session in sessions.items():
        times = seconds[model][1:]
        row = {"model": model, "epoch": median(times), "lowest": min(times), "highest": max(times)}
        row["parameters"] = sum(p.numel() for p in session.model.parameters())
        row["rows"] = len(session.split.train)
        row["full ranking"] = _ranking_seconds(model, dataset, options)
        rows.append(row)
    for row in rows:
        row[f"epoch / {models[0]}'s"] = row["epoch"] / rows[0]["epoch"]
    return rows


def _session(model: str, dataset: str, protocol: str, options: dict | None) -> Session:
    config_dict = {"protocol": protocol, "show_progress": False, **(options or {})}
    return prepare_session(Config(model, dataset, config_dict=config_dict))


def _ranking_seconds(model: str, dataset: str, options: dict | None) -> float:
    """Median of three evaluations of the test part's rank metrics. Each encodes movies and users again."""
    session = _session(model, dataset, "ranking", {**(options or {}), "metrics": ["Recall", "NDCG"]})
    times = []
    for _ in range(3):
        start = perf_counter()
        session.trainer.evaluate(session.test_data, load_best_model=False)
        times.append(perf_counter() - start)
    return median(times)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="ml-100k-mm")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--protocol", default="u1")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    rows = measure(options.dataset, options.rounds, models=options.models, protocol=options.protocol)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} thread(s); seconds, median of {options.rounds} epochs")
    print(tabulate(rows, headers="keys", floatfmt=".3f", intfmt=","))


if __name__ == "__main__":
    main()
