from __future__ import annotations

from recbole_mm.benchmark.logistic_genres import logistic_genre_map
from recbole_mm.config.config import Config


def test_logistic_regression_reads_planted_genres_off_the_vectors_that_hold_them(planted):
    result = logistic_genre_map(Config("MMFS", planted.name, config_dict=planted.options()))
    assert set(result) == {"text", "audio", "all"}
    assert result["text"]["test"] > 0.97 and result["all"]["test"] > 0.97
