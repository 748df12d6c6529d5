"""refit: the epochs come from validation, the model from training and validation rows."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from model_contract import all_pairs

import recbole_mm
from recbole_mm.config.config import Config
from recbole_mm.errors import InputError
from recbole_mm.training.session import prepare_data, prepare_session, run


def test_the_model_is_trained_on_both_parts_for_the_chosen_epochs(planted):
    options = planted.options(epochs=6)
    chosen = run("MMASP", planted.name, config_dict={**options, "checkpoint_dir": "first"})
    refitted = run("MMASP", planted.name, config_dict={**options, "refit": True})
    assert refitted.valid == chosen.valid and refitted.best_epoch == chosen.best_epoch
    assert refitted.test != chosen.test
    assert [path.name for path in Path("saved").iterdir()] == [Path(refitted.checkpoint).name]
    # By hand: all rows that are not tested, and one epoch after the other without validation.
    session = prepare_session(Config("MMASP", planted.name, config_dict={**options, "refit": True}))
    parts = prepare_data(Config("MMASP", planted.name, config_dict=options))[1]
    assert len(session.split.train) == len(parts.train) + len(parts.valid)
    tested = [
        sorted(zip(*(part.inter_feat[f].tolist() for f in ("user_id", "item_id"))))
        for part in (session.split.test, parts.test)
    ]
    assert tested[0] == tested[1]
    session.trainer.epochs = chosen.best_epoch
    session.trainer.fit(session.train_data, saved=False)
    assert session.trainer.evaluate(session.test_data, load_best_model=False) == refitted.test
    # The checkpoint is the refitted model, for evaluation and in use.
    again = run(config_dict={"evaluate": refitted.checkpoint, "data_path": options["data_path"]})
    assert again.test == refitted.test and again.valid == {}
    loaded = recbole_mm.load(refitted.checkpoint, data_path=options["data_path"])
    with torch.no_grad():
        pairs = all_pairs(session.model)
        expected = session.model.eval().predict_rating(pairs)
        users, items = pairs[session.model.USER_ID], pairs[session.model.ITEM_ID]
        tokens = [session.split.train.id2token(field, ids) for field, ids in (("user_id", users), ("item_id", items))]
    kept = (users > 0) & (items > 0)
    found = loaded.predict(tokens[0][kept.numpy()], tokens[1][kept.numpy()])["rating"]
    torch.testing.assert_close(torch.tensor(found.to_numpy()), expected[kept], check_dtype=False)


def test_labels_of_validation_movies_are_trained_on_and_those_of_test_movies_are_not(planted):
    config = Config("MMASP", planted.name, config_dict=planted.options())
    before, after = (prepare_data(config, refit)[1].label_items["genre"] for refit in (False, True))
    assert set(after.train.tolist()) == {*before.train.tolist(), *before.valid.tolist()}
    assert torch.equal(after.test, before.test) and not set(after.train.tolist()) & set(after.test.tolist())


@pytest.mark.parametrize("model", ["BPR", "EASE"])
def test_models_of_recbole_are_refitted_too(planted, model):
    options = planted.data_options(epochs=2)
    plain = run(model, planted.name, config_dict=options, saved=model != "EASE")
    refitted = run(model, planted.name, config_dict={**options, "refit": True}, saved=model != "EASE")
    assert refitted.valid == plain.valid and refitted.test != plain.test


def test_going_on_from_a_checkpoint_is_refused(planted):
    with pytest.raises(InputError, match="refit.*resume"):
        Config("MMASP", planted.name, config_dict=planted.options(refit=True, resume="auto"))
