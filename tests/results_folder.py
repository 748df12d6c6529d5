"""A results folder as `recbole-mm benchmark` leaves it, small and with numbers that are known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

GENRES = ("Action", "Drama", "Sci-Fi & <more>")
HOSTILE = "<img src=x onerror=alert(1)>"
REASON = "recbole-mm: error: </script><script>alert(1)</script>"


def write_results(out: Path) -> Path:
    """Suites rating (u1, u2), ranking and cold-item, seeds 1 and 2; a row with a hostile name has failed."""
    rmse = {"MMASP": 0.9, "Bias": 0.95, "MMFS": 0.91}
    rating = [
        _line(out, row, protocol, seed, {"rmse": rmse[row] + 0.1 * (protocol == "u2") + 0.01 * seed})
        for row in ("Bias", "MMASP")
        for protocol in ("u1", "u2")
        for seed in (1, 2)
    ]
    ranking = [
        _line(out, row, "ranking", seed, {"rmse": rmse[row], "ndcg@10": 0.3 + 0.01 * seed, "genre_map": 0.5})
        for row in ("MMASP", "MMFS")
        for seed in (1, 2)
    ]
    ranking.append(_line(out, "EASE", "ranking", 1, {"ndcg@10": 0.4}))
    ranking.append({"row": HOSTILE, "protocol": "ranking", "seed": 1, "failure": REASON})
    cold = [
        _line(out, row, "cold-item", seed, {"rmse": rmse[row] + 0.1, "genre_map": 0.4})
        for row in ("MMASP", "MMFS")
        for seed in (1, 2)
    ]
    for suite, lines in (("rating", rating), ("ranking", ranking), ("cold-item", cold)):
        pd.DataFrame(lines).to_csv(out / f"{suite}.csv", index=False)
    everything = [{"suite": "rating", **line} for line in rating]
    pd.DataFrame(everything).to_csv(out / "results.csv", index=False)  # as the benchmark merges them
    tests = [("MMASP", "ndcg@10", "EASE", -0.09, -0.5, 2e-9, 943, "worse")]
    columns = ["row", "metric", "reference", "difference", "effect", "p", "units", "verdict"]
    pd.DataFrame(tests, columns=columns).to_csv(out / "ranking.tests.csv", index=False)
    (out / "cost_by_size.csv").write_text("ratings,seconds\n1000,2\n")  # not a suite's
    return out


def _line(out: Path, row: str, protocol: str, seed: int, metrics: dict[str, float]) -> dict:
    cell = f"{row}-{protocol}-{seed}-0123456789ab"
    _write_run(out / "runs" / cell, row, protocol, seed, metrics)
    return {
        "row": row,
        "protocol": protocol,
        "seed": seed,
        "failure": None,
        **metrics,
        "fit_seconds": 9.0 + seed,
        "epochs": 3,
        "date": f"2026-11-2{seed}",
        "parameters": 1000,
        "versions": json.dumps({"python": "3.11.7", "torch": "2.13.0"}),
        "cell": cell,
    }


def _write_run(stem: Path, row: str, protocol: str, seed: int, metrics: dict[str, float]) -> None:
    stem.parent.mkdir(parents=True, exist_ok=True)
    history = [
        {
            "epoch": epoch + 1,
            "valid": {name: value + 0.1 / (epoch + 1) for name, value in metrics.items()},
            "statistics": {"discriminator_accuracy": 0.5 + 0.1 * epoch} if row == "MMASP" else {},
        }
        for epoch in range(3)
    ]
    result = {"model": row, "protocol": protocol, "seed": seed, "best_epoch": 2, "history": history, "test": metrics}
    stem.with_suffix(".json").write_text(json.dumps(result))
    predictions = {"user": np.array([b"u1"])}
    if row.startswith("MM"):
        predictions |= planted_movies()
        if protocol != "u1":
            genre = predictions["movie_genre"][:6]
            predictions |= {"genre_target": genre, "genre_probability": (0.1 + 0.8 * genre).astype(np.float16)}
    np.savez_compressed(stem.with_suffix(".npz"), **predictions)


def planted_movies(count: int = 30) -> dict[str, np.ndarray]:
    """Movies of three kinds, of which the first also have the third's genre; embeddings are the kind and noise."""
    kind = np.arange(count) % 3
    genre = np.eye(3, dtype=np.uint8)[kind]
    genre[0, 2] = 1
    embedding = 5 * np.eye(3)[kind] + np.random.default_rng(0).normal(0, 0.1, (count, 3))
    titles = [HOSTILE, "Amélie", *[""] * (count - 2)]
    return {
        "genre_names": np.array([name.encode() for name in GENRES]),
        "movie": np.array([b"%d" % i for i in range(count)]),
        "movie_title": np.array([title.encode() for title in titles]),
        "movie_embedding": embedding.astype(np.float16),
        "movie_genre": genre,
    }
