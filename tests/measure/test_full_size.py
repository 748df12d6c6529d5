from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from recbole_mm.measure import full_size, synthetic

MOVIES, RATINGS = 300, 20_000


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("full_size")
    out = folder / "results"
    full_size.main(
        [f"--folder={folder}", f"--out={out}", "--ratings", str(RATINGS), f"--movies={MOVIES}", "--models", "MMFS"]
    )
    return folder, out


def test_ratings_have_the_layout_and_the_counts_that_were_asked_for(tmp_path):
    planted = synthetic.plant(MOVIES)
    synthetic.write_ratings(tmp_path, planted, RATINGS)
    ratings = pd.read_csv(tmp_path / "ratings.csv")
    assert list(ratings) == ["userId", "movieId", "rating", "timestamp"]
    assert len(ratings) == RATINGS and not ratings.duplicated(["userId", "movieId"]).any()
    assert ratings.groupby("userId").size().min() >= 20 and ratings["userId"].is_monotonic_increasing
    assert set(ratings["rating"]) <= set(np.arange(1, 11) / 2) and ratings["rating"].std() > 0.8
    movies = pd.read_csv(tmp_path / "movies.csv")
    assert set(ratings["movieId"]) <= set(movies["movieId"]) == set(planted.ids)
    again = tmp_path / "again"
    synthetic.write_ratings(again, planted, RATINGS)
    assert (again / "ratings.csv").read_bytes() == (tmp_path / "ratings.csv").read_bytes()


@pytest.mark.slow
def test_each_size_is_measured_once_and_learned_from(measured, capsys):
    folder, out = measured
    (line,) = pd.read_csv(out / "cost.csv").to_dict("records")
    assert line["ratings"] == RATINGS and line["ranked_users"] > 50
    built = folder / f"{RATINGS}-ratings-{MOVIES}-movies" / "dataset" / full_size.DATASET
    assert all((built / f"{full_size.DATASET}.{field}.npz").is_file() for field in full_size.FIELDS)
    assert min(line[name] for name in ("build_seconds", "load_seconds", "epoch_seconds", "users_per_second")) > 0
    assert np.isfinite(line["rmse"]) and 0.5 < line["rating_deviation"] < 2
    text = (out / "cost.md").read_text()
    assert "SYNTHETIC" in text and "20,000" in text

    kept = next((out / "runs").glob("*-MMFS.json"))
    changed = {**json.loads(kept.read_text()), "rmse": 7.0}
    kept.write_text(json.dumps(changed))
    full_size.main(
        [f"--folder={folder}", f"--out={out}", "--ratings", str(RATINGS), f"--movies={MOVIES}", "--models", "MMFS"]
    )
    assert "7.000" in capsys.readouterr().out, "what is there is not measured again"


@pytest.mark.slow
def test_planted_preferences_can_be_learned(measured, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from recbole_mm.training.session import run

    folder, _ = measured
    place = folder / f"{RATINGS}-ratings-{MOVIES}-movies" / "dataset"
    # 300 movies share too few names for their metadata to say anything.
    fields = [field for field in full_size.FIELDS if field not in ("meta", "keywords")]
    options = {"data_path": str(place), "modalities": fields, "epochs": 15, "show_progress": False}
    result = run("MMFS", full_size.DATASET, config_dict={**options, "train_batch_size": 2048}, saved=False)
    deviation = pd.read_csv(place / full_size.DATASET / f"{full_size.DATASET}.inter", sep="\t")["rating:float"].std()
    assert result.test["rmse"] < 0.9 * deviation
    assert result.test["genre_map"] > 0.3
