from __future__ import annotations

from recbole_mm.benchmark import kernel_genres
from recbole_mm.benchmark.kernel_genres import kernel_genre_metrics
from recbole_mm.config.config import Config


def test_kernel_ridge_reads_planted_genres_off_the_vectors_that_hold_them(planted):
    result = kernel_genre_metrics(Config("MMFS", planted.name, config_dict=planted.options()))
    assert set(result) == {"text", "audio", "all"}
    assert result["text"]["test"]["genre_map"] > 0.97 and result["all"]["test"]["genre_map"] > 0.97


def test_width_and_penalty_are_chosen_without_validation_and_test_movies(planted, monkeypatch):
    """Each choice is measured on training movies; the last two measures are of the validation and the test movies."""
    seen = []
    measured = kernel_genres._measured

    def spy(kernel, targets, fitted, held, penalty):
        seen.append((set(fitted.tolist()), set(held.tolist())))
        return measured(kernel, targets, fitted, held, penalty)

    monkeypatch.setattr(kernel_genres, "_measured", spy)
    kernel_genre_metrics(Config("MMFS", planted.name, config_dict=planted.options(modalities=["text"])))
    one = seen[: len(seen) // 2]  # of two: text alone, and all
    *inner, (train, valid), (same, test) = one
    assert len(inner) == 25 and train == same and not train & (valid | test)
    assert all(fitted | held == train and not fitted & held for fitted, held in inner)
