"""Cost against size: SYNTHETIC data of MMTF-14K's shape, from 100 thousand to 20 million ratings.

    python -m recbole_mm.measure.full_size --folder=DIR --out=results/mmtf-14k-synthetic
    python -m recbole_mm.measure.full_size --folder=DIR --ratings 1e5 1e6 --movies=2000 --models MMFS

`recbole_mm.measure.synthetic` writes files with the layout of the releases, and `recbole-mm prepare mmtf-14k` builds
each size from them. Then each model loads the data, trains one epoch, predicts 1 % of the ratings and ranks the
catalogue for at most 10,000 users. The build and each model run in their own processes. Measurements are kept in
``--out``, so an interrupted command continues where it stopped. DIR needs some gigabytes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from time import perf_counter, strftime

import pandas as pd
from tabulate import tabulate

from recbole_mm.environment import peak_rss_mb
from recbole_mm.files import write_text
from recbole_mm.measure import synthetic

DATASET = "mmtf-14k"
VISUAL = "avf:avg,alexnet:avg"
FIELDS = ["ivector_fold1_gmm128_tv100", "avf_avg", "alexnet_avg", "text", "meta", "keywords"]
RATINGS = (100_000, 1_000_000, 5_000_000, 20_000_000)
MODELS = ("MMFS", "MMASP")
RANKED_USERS = 10_000
# Validation and test: 1 % of the ratings each.
SPLIT = {"split": {"RS": [0.98, 0.01, 0.01]}, "group_by": "none"}


def measure(folder: Path, out: Path, ratings: list[int], movies: int, models: list[str]) -> pd.DataFrame:
    """One line for each size and model; see `HEADERS`.

    Args:
        folder: of the data; existing data are used again.
        out: folder of the measurements, ``runs/<ratings>-<movies>-<what>.json``.
    """
    (out / "runs").mkdir(parents=True, exist_ok=True)
    lines = []
    for size in ratings:
        data_folder = folder / f"{size}-ratings-{movies}-movies"
        name = out / "runs" / f"{size}-{movies}"
        if not data_folder.is_dir():
            _in_fresh_process("write", data_folder, size, movies)
        build = _measure_once(Path(f"{name}-build.json"), "build", data_folder, size, movies)
        for model in models:
            training = _measure_once(Path(f"{name}-{model}.json"), "train", data_folder, model)
            lines.append({"model": model, **build, **training})
    return pd.DataFrame(lines)


def _measure_once(path: Path, *arguments: object) -> dict:
    """The measurement in a file. If the file is missing, a fresh process measures first."""
    if not path.is_file():
        text = json.dumps(_in_fresh_process(*arguments))
        write_text(path, text)
    return json.loads(path.read_text(encoding="utf-8"))


def _in_fresh_process(*arguments: object) -> dict:
    command = [sys.executable, "-m", "recbole_mm.measure.full_size", "--worker", *map(str, arguments)]
    finished = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(finished.stdout.splitlines()[-1])


def _write(folder: Path, ratings: int, movies: int) -> dict:
    """Write the files of both releases; ``folder`` appears when they are complete."""
    planted = synthetic.plant(movies)
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    synthetic.write_descriptors(partial / "MMTF-14K", planted)
    synthetic.write_ratings(partial / "ml-20m", planted, ratings)
    partial.rename(folder)
    return {}


def _build(folder: Path, ratings: int, movies: int) -> dict:
    from recbole_mm.datasets.registry import prepare

    source, movielens = folder / "MMTF-14K", folder / "ml-20m"
    metadata = folder / "metadata.csv"
    if not metadata.is_file():
        synthetic.write_metadata(metadata, synthetic.plant(movies))
    options = {"ratings": movielens, "visual": VISUAL, "metadata": metadata}
    start = perf_counter()
    built = prepare(DATASET, folder / "dataset", source=source, force=True, **options)
    measured = {"build_seconds": perf_counter() - start, "build_peak_gb": peak_rss_mb() / 1024}
    synthetic.write_text(built / f"{DATASET}.text.npz", synthetic.plant(movies))
    return {"ratings": ratings, "movies": movies, **measured}


def _train(folder: Path, model: str) -> dict:
    import torch

    from recbole_mm.config.config import Config
    from recbole_mm.data.dataloader import EvaluationData
    from recbole_mm.evaluation.families import RATING
    from recbole_mm.training.session import prepare_session

    start = perf_counter()
    options = {
        "data_path": str(folder / "dataset"),
        "modalities": FIELDS,
        "eval_args": SPLIT,
        "metrics": ["RMSE", "Recall", "NDCG"],
        "show_progress": False,
        "state": "ERROR",
    }
    session = prepare_session(Config(model, DATASET, config_dict=options))
    loaded = perf_counter()
    session.trainer.train_epoch(session.train_data, 0)
    trained = perf_counter()
    session.model.eval()
    rows = session.split.test
    with torch.no_grad():
        rating_metrics = RATING.evaluate(session.trainer, EvaluationData(rows, None, None, {}), ["RMSE"], False)
        ranking = _rank(session)
    return {
        "users": session.split.train.user_num - 1,
        "load_seconds": loaded - start,
        "epoch_seconds": trained - loaded,
        "ratings_per_second": len(session.split.train) / (trained - loaded),
        "rmse": rating_metrics["rmse"],
        "rating_deviation": float(rows.inter_feat[rows.config["RATING_FIELD"]].std(correction=0)),
        **ranking,
        "peak_gb": peak_rss_mb() / 1024,
        "threads": torch.get_num_threads(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores; torch {torch.__version__}",
        "date": strftime("%Y-%m-%d"),
    }


def _rank(session) -> dict:
    """Rank the catalogue for the first users of the test part, at most RANKED_USERS."""
    from recbole_mm.data.catalogue_loader import CatalogueLoader
    from recbole_mm.data.dataloader import EvaluationData

    rows, split = session.split.test, session.split
    users = rows.inter_feat[rows.uid_field]
    chosen = users.unique()[:RANKED_USERS]
    part = rows.copy(rows.inter_feat[users <= chosen[-1]])
    data = EvaluationData(part, CatalogueLoader(session.config, part, [split.train, split.valid]), None, {})
    start = perf_counter()
    metrics = session.trainer.rank_catalogue(data)
    seconds = perf_counter() - start
    return {"ranked_users": len(chosen), "users_per_second": len(chosen) / seconds, "ndcg@10": metrics["ndcg@10"]}


HEADERS = {
    "ratings": "ratings",
    "users": "users",
    "model": "model",
    "build_seconds": "build, s",
    "build_peak_gb": "build, GiB",
    "load_seconds": "load, s",
    "epoch_seconds": "epoch, s",
    "ratings_per_second": "ratings/s",
    "rmse": "RMSE",
    "rating_deviation": "RMSE of the mean",
    "users_per_second": "ranked users/s",
    "peak_gb": "training, GiB",
}
"""Columns of the table. GiB: peak memory of a process. RMSE: after one epoch, and of predicting the mean rating."""


def write_table(table: pd.DataFrame, out: Path) -> Path:
    """Write ``cost.csv`` with all measurements, and ``cost.md``."""
    write_text(out / "cost.csv", table.to_csv(index=False))
    shown = [[_shown(name, value) for name, value in line.items()] for line in table[list(HEADERS)].to_dict("records")]
    head = table.iloc[0]
    text = (
        f"# SYNTHETIC data of MMTF-14K's shape: cost against size\n\n`python -m recbole_mm.measure.full_size "
        f"--folder=DIR`; {head['movies']:,} movies, fields {', '.join(FIELDS)}; one epoch; {head['threads']} threads. "
        f"{table['date'].max()}, {head['machine']}.\n\n"
        f"{tabulate(shown, list(HEADERS.values()), tablefmt='github', disable_numparse=True)}\n"
    )
    write_text(out / "cost.md", text)
    return out / "cost.md"


def _shown(name: str, value: object) -> str:
    if isinstance(value, str):
        return value
    is_whole = name in ("ratings", "users", "ratings_per_second", "users_per_second")
    return f"{value:,.0f}" if is_whole else f"{value:.3f}" if name in ("rmse", "rating_deviation") else f"{value:,.1f}"


def main(arguments: list[str] | None = None) -> None:
    """Do the missing measurements and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="for the synthetic data")
    parser.add_argument("--out", type=Path, default=Path("results/mmtf-14k-synthetic"))
    parser.add_argument("--ratings", type=lambda text: int(float(text)), nargs="+", default=list(RATINGS))
    parser.add_argument("--movies", type=int, default=synthetic.MOVIES)
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    options = parser.parse_args(arguments)
    table = measure(options.folder, options.out, options.ratings, options.movies, options.models)
    print(write_table(table, options.out).read_text(encoding="utf-8"))


def _worker(task: str, folder: str, *more: str) -> None:
    if task == "train":
        result = _train(Path(folder), *more)
    else:
        result = {"write": _write, "build": _build}[task](Path(folder), *map(int, more))
    print(json.dumps(result))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        _worker(*sys.argv[2:])
    else:
        main()
