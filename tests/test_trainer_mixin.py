from __future__ import annotations

import numpy as np
import pytest
from model_contract import open_session

from recbole_mm.config import Config
from recbole_mm.quick_start import prepare_session, run


@pytest.mark.parametrize("protocol", ["ranking", "cold-item"])
def test_outcomes_are_what_the_metrics_are_made_of(planted, tmp_path, protocol):
    options = planted.options(epochs=2, protocol=protocol, outcome_file=str(tmp_path / "new" / "outcomes.npz"))
    result = run("MMFS", planted.name, config_dict=options)
    with np.load(options["outcome_file"], allow_pickle=False) as file:
        found = dict(file)
    error = found["predicted"].astype(float) - found["rating"]
    assert np.sqrt((error**2).mean()) == pytest.approx(result.test["rmse"], abs=1e-4)
    assert np.abs(error).mean() == pytest.approx(result.test["mae"], abs=1e-4)
    for name in ("recall@10", "ndcg@10"):
        assert len(found[name]) == len(found["ranked_user"]) == len(set(found["ranked_user"]))
        assert found[name].mean() == pytest.approx(result.test[name], abs=1e-4)


def test_outcomes_name_pairs_and_users_as_the_files_do(planted):
    session = open_session("MMFS", planted)
    outcomes = session.trainer.outcomes(session.test_data)
    rows = session.split.test.inter_feat
    pairs = list(zip(outcomes["user"].astype(str), outcomes["item"].astype(str), outcomes["rating"]))
    tokens = session.split.test.field2id_token
    expected = [
        (tokens["user_id"][user], tokens["item_id"][item], rating)
        for user, item, rating in zip(rows["user_id"].tolist(), rows["item_id"].tolist(), rows["rating"].tolist())
    ]
    assert pairs == expected
    assert set(outcomes["ranked_user"]) == set(outcomes["user"])


def test_a_model_that_only_ranks_has_outcomes_of_users_alone(planted):
    config = Config("BPR", planted.name, config_dict={**planted.data_options(), "protocol": "ranking", "epochs": 1})
    session = prepare_session(config)
    session.trainer.fit(session.train_data, saved=False)
    assert set(session.trainer.outcomes(session.test_data)) == {"ranked_user", "recall@10", "ndcg@10"}
