from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from recbole_mm.config.config import Config
from recbole_mm.data.imputation import IMPUTATIONS, co_rated, impute
from recbole_mm.data.modality import Modality
from recbole_mm.errors import InputError
from recbole_mm.training.session import prepare_session

METHODS = IMPUTATIONS[1:]
GRAPH_METHODS = ("neighbours", "pagerank", "heat")

# Users 1 to 3 rate movies 1 to 3, users 4 and 5 movies 4 and 5; movie 6 is in no training row.
ROWS = [(u, i) for u in (1, 2, 3) for i in (1, 2, 3)] + [(u, i) for u in (4, 5) for i in (4, 5)]
VALUES = torch.tensor([[0.0], [0.0], [2.0], [4.0], [10.0], [20.0], [90.0]])


def training(rows=ROWS) -> SimpleNamespace:
    users, items = (torch.tensor(column) for column in zip(*rows))
    return SimpleNamespace(inter_feat={"u": users, "i": items}, uid_field="u", iid_field="i", item_num=7)


def imputed(method: str, missing, rows=ROWS) -> torch.Tensor:
    present = torch.ones(7, dtype=torch.bool)
    present[[0, *missing]] = False
    field = Modality(VALUES * present[:, None], present)
    after = impute({"text": field}, method, training(rows))["text"]
    assert torch.equal(after.values[present], field.values[present]) and not after.values[0].any()
    if method != "none":
        assert not after.present[0] and after.present[1:].all()
    return after.values.squeeze(1)


def test_nothing_is_changed_without_an_imputation():
    assert torch.equal(imputed("none", [1]), VALUES.squeeze(1) * (torch.arange(7) > 1))


def test_zeros_and_means_of_training_movies():
    assert float(imputed("zeros", [1])[1]) == 0
    assert float(imputed("mean", [1])[1]) == (2 + 4 + 10 + 20) / 4  # movie 6 has no training row


@pytest.mark.parametrize("method", GRAPH_METHODS)
def test_means_over_movies_of_the_same_users(method):
    values = imputed(method, [1, 4])
    assert float(values[1]) == pytest.approx(3) and float(values[4]) == pytest.approx(20)


@pytest.mark.parametrize("method", GRAPH_METHODS)
def test_a_movie_that_the_graph_does_not_reach_has_the_mean(method):
    assert float(imputed(method, [6])[6]) == pytest.approx((0 + 2 + 4 + 10 + 20) / 5)
    assert float(imputed(method, [4, 5])[4]) == 2.0


@pytest.mark.parametrize("method", METHODS)
def test_only_training_rows_and_movies_count(method):
    """The vector of a movie without training rows fills no gap."""
    before = imputed(method, [1])
    VALUES[6] += 1000
    try:
        assert torch.equal(imputed(method, [1])[1:6], before[1:6])
    finally:
        VALUES[6] -= 1000


def test_diffusions_reach_further_than_neighbours():
    chain = [(1, 1), (1, 2), (2, 2), (2, 3), (3, 3), (3, 4)]
    assert float(imputed("neighbours", [1], chain)[1]) == 2.0
    for method in ("pagerank", "heat"):
        assert 2.0 < float(imputed(method, [1], chain)[1]) < 10.0


@pytest.mark.parametrize("method", METHODS)
def test_a_field_without_vectors_stays_as_it_is(method):
    nothing = Modality(torch.zeros(7, 2), torch.zeros(7, dtype=torch.bool))
    assert impute({"text": nothing}, method, training())["text"] is nothing


def test_users_in_common_are_counted_and_the_most_are_kept(monkeypatch):
    random = np.random.default_rng(0)
    pairs = np.unique(np.column_stack([random.integers(1, 30, 400), random.integers(1, 40, 400)]), axis=0)
    whole = co_rated(pairs[:, 0], pairs[:, 1], 40)
    monkeypatch.setattr("recbole_mm.data.imputation.BLOCK", 7)
    assert (whole != co_rated(pairs[:, 0], pairs[:, 1], 40)).nnz == 0
    assert abs(whole - whole.T).max() < 1e-12 and whole.diagonal().sum() == 0 and whole[0].nnz == 0
    monkeypatch.setattr("recbole_mm.data.imputation.NEIGHBOURS", 2)
    assert co_rated(pairs[:, 0], pairs[:, 1], 40).nnz < whole.nnz


@pytest.mark.parametrize("model", ["MMFS", "FREEDOM"])
def test_the_option_reaches_the_data_of_all_parts(planted, model):
    given = planted.options if model == "MMFS" else planted.data_options
    changes = {"modalities": ["text", "audio"], "imputation": "heat"}
    split = prepare_session(Config(model, planted.name, config_dict=given(**changes))).split
    for part in (split.train, split.valid, split.test):
        assert part.modalities["audio"].present[1:].all() and part.modalities["audio"].values[1:].any(dim=1).all()


def test_an_unknown_imputation_is_an_error_with_the_nearest_name(planted):
    with pytest.raises(InputError, match="'imputation' is 'zero'.*Did you mean 'zeros'"):
        Config("MMFS", planted.name, config_dict=planted.options(imputation="zero"))
