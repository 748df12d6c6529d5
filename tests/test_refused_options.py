"""Options that are known and typed, and could still only do harm."""

from __future__ import annotations

import pytest

from recbole_mm.config import Config
from recbole_mm.errors import InputError


@pytest.mark.parametrize(
    "options, message",
    [
        ({"protocol": "cold-item", "eval_args": {"mode": "uni20"}}, "not cold"),
        ({"train_neg_sample_args": {"distribution": "uniform"}}, "'train_neg_sample_args' has no effect on MMFS"),
        ({"save_dataset": True}, "'save_dataset' has no effect"),
        ({"modalities": []}, "one or more different names"),
        ({"modalities": ["text", "text"]}, "one or more different names"),
        ({"modalities": ["a.b"]}, "one or more different names"),
        ({"tasks": ["rating", "genre"], "rating_weight": 0, "genre_weight": 0}, "nothing would be trained"),
        ({"tasks": []}, "nothing would be trained"),
        ({"tasks": ["rating", "rankin"]}, "'rankin' is no task. Did you mean 'ranking'?"),
        ({"learner": "sparse_adam"}, "sparse_adam needs sparse gradients"),
        ({"averaging_decay": 1.5}, r"averaging_decay.*in \[0, 1\)"),
        ({"seed": 2**32}, "seed.*from 0 to"),
        ({"protocol": "u1", "benchmark_filename": ["a", "b", "c"]}, "benchmark_filename"),
    ],
)
def test_option_that_could_only_do_harm_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        Config("MMFS", "ml-100k-mm", config_dict=options)
