from __future__ import annotations

from recbole_mm import load, run
from recbole_mm.measure.serving import measure


def test_every_question_is_answered_and_timed(planted):
    recommender = load(run("MMFS", planted.name, config_dict=planted.options(epochs=1)).checkpoint)
    rows = measure(recommender, rounds=1)
    assert [row["question"].split()[0] for row in rows] == [
        "recommend",
        "predict",
        "recommend_for",
        "explain_each",
        "add_movies,",
    ]
    assert all(0 < row["lowest"] <= row["seconds"] <= row["highest"] for row in rows)
    assert len(recommender.movies) == 90, "the movies added were another's"
