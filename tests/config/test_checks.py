"""Checks of options that are known and typed, and could still only do harm."""

from __future__ import annotations

import pytest

from recbole_mm.config.config import Config
from recbole_mm.errors import InputError

NEGATIVES = {"train_neg_sample_args": {"sample_num": 1}, "LABEL_FIELD": "rating"}
NO_TRAINING_MOVIE = {"protocol": "cold-item", "cold_test_ratio": 0.9, "cold_valid_ratio": 0.1}


@pytest.mark.parametrize(
    "options, message",
    [
        ({"split_by": "file_fold"}, "option 'test_fold' is ~"),
        (NO_TRAINING_MOVIE, "leave nothing to train on"),
        ({"rating_scale": [5, 1]}, "rating_scale"),
        ({"rating_scale": [1]}, "rating_scale"),
        ({"rating_scale": ["a", "b"]}, "rating_scale"),
        (NEGATIVES, "sampled negatives"),
        ({"normalize_all": True}, "scale the ratings"),
        ({"protocol": "cold-item", "eval_args": {"mode": "uni20"}}, "not cold"),
        ({"train_neg_sample_args": {"distribution": "uniform"}}, "'train_neg_sample_args' has no effect on MMFS"),
        ({"log_wandb": True}, "pip install wandb"),
        ({"save_dataset": True}, "'save_dataset' is for files of pickled Python objects"),
        ({"modalities": ["text", "text"]}, "takes different names"),
        ({"modalities": ["a.b"]}, "takes different names"),
        ({"tasks": ["rating", "genre"], "rating_weight": 0, "genre_weight": 0}, "nothing would be trained"),
        ({"tasks": []}, "option 'tasks' is empty"),
        ({"tasks": ["rating", "rankin"]}, "'rankin' is not a task. Did you mean 'ranking'?"),
        ({"learner": "sparse_adam"}, "sparse_adam needs sparse gradients"),
        ({"averaging_decay": 1.5}, r"averaging_decay.*in \[0, 1\)"),
        ({"seed": 2**32}, "seed.*from 0 to"),
        ({"protocol": "u1", "benchmark_filename": ["a", "b", "c"]}, "benchmark_filename"),
    ],
)
def test_option_that_could_only_do_harm_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        Config("MMFS", "ml-100k-mm", config_dict=options)


def test_labels_of_a_built_in_regressor_stay_ratings():
    for options, message in (
        ({"threshold": {"rating": 4}}, "turns the ratings into 0 and 1"),
        ({"normalize_field": ["rating"]}, "scale the ratings"),
    ):
        with pytest.raises(InputError, match=message):
            Config("FM", "ml-100k-mm", config_dict={"protocol": "u1", **options})
