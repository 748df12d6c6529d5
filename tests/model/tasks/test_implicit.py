"""The two-way implicit term: exact leave-one-out, no leak, and other movies and people with the same weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from model_contract import all_pairs, open_session, predictions

from recbole_mm.inference.load import load
from recbole_mm.model import variants
from recbole_mm.model.tasks.implicit import TwoWayImplicit, fewer_raters
from recbole_mm.model.users import UserHistories, Users
from recbole_mm.training.session import run

USERS, MOVIES, SIZE = 5, 7, 3
IMPLICIT = {"implicit_size": 4}


def pairs_of(history: UserHistories) -> set[tuple[int, int]]:
    return set(zip((history.pairs // history.item_num).tolist(), (history.pairs % history.item_num).tolist()))


def expected_term(model: TwoWayImplicit, pairs: set, user: int, movie: int, without_pair: bool) -> float:
    """The formula, by loops over sets."""
    removed = {(user, movie)} if without_pair else set()
    rated = [m for u, m in pairs - removed if u == user]
    raters = [u for u, m in pairs_of(model.raters) - removed if m == movie]
    p = model.user[user] + sum(model.rated[m] for m in rated) / max(len(rated), 1) ** 0.5
    q = model.item[movie] + sum(model.rater[u] for u in raters) / max(len(raters), 1) ** 0.5
    return float(p[:-1] @ q[:-1] + p[-1] + q[-1])


ROWS = st.lists(st.tuples(st.integers(0, USERS - 1), st.integers(0, MOVIES - 1)), min_size=1, max_size=25)


@given(ROWS, st.sampled_from([0, 1, 8, 100]))
@settings(deadline=None)
def test_in_training_each_pair_leaves_both_sums_and_in_prediction_none_does(rows, most):
    torch.manual_seed(0)
    users, items = np.array(rows).T
    model = TwoWayImplicit(users, items, USERS, MOVIES, SIZE, dropout=0.0, most_pairs=most)
    with torch.no_grad():
        for table in model.parameters():
            table.normal_()
        has_identity = torch.ones(MOVIES, dtype=torch.bool)
        has_identity[items[0]] = False
        found = model(torch.from_numpy(users), torch.from_numpy(items), has_identity)
        people = Users.from_rows(users, items, np.arange(len(users)) % 2 == 0, USERS, MOVIES)
        every = torch.cartesian_prod(torch.arange(USERS), torch.arange(MOVIES)).T
        state = model.state(people, has_identity)
        scores = model.score(state, *every).view(USERS, MOVIES)
        torch.testing.assert_close(model.score_catalogue(state, torch.arange(USERS)), scores)
    pairs = set(rows)
    for (user, movie), term in zip(rows, found.tolist()):
        expected = 0.0 if not has_identity[movie] else expected_term(model, pairs, user, movie, True)
        assert term == pytest.approx(expected, abs=1e-4)
    halves = {(u, m): {i % 2 for i, row in enumerate(rows) if row == (u, m)} for u, m in pairs}
    if all(len(half) == 1 for half in halves.values()):  # nobody both likes and dislikes a movie
        for user, movie in every.T.tolist():
            expected = 0.0 if not has_identity[movie] else expected_term(model, pairs, user, movie, False)
            assert float(scores[user, movie]) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("protocol", ["u2", "cold-item"])
def test_test_ratings_change_no_prediction(planted, protocol):
    options = {"protocol": protocol, **IMPLICIT}
    session = open_session("MMFS", planted, **options)
    before = predictions("MMFS", planted, **options)
    rows, tokens = session.split.test.inter_feat, session.split.test.field2id_token
    held_out = set(zip(tokens["user_id"][rows["user_id"]], tokens["item_id"][rows["item_id"]]))
    table = planted.ratings
    in_test = [pair in held_out for pair in zip(table["user_id:token"], table["item_id:token"])]
    assert sum(in_test) == len(rows)
    table.loc[in_test, "rating:float"] = 6.0 - table.loc[in_test, "rating:float"]
    planted.write()
    for first, second in zip(before, predictions("MMFS", planted, **options)):
        assert torch.equal(first, second)


def test_the_term_is_made_of_training_rows_alone(planted):
    session = open_session("MMFS", planted, **IMPLICIT)
    history, rows = session.model.tasks["rating"].implicit.history, session.split.train.inter_feat
    assert pairs_of(history) == set(zip(rows["user_id"].tolist(), rows["item_id"].tolist()))


@given(ROWS, st.integers(1, 30))
@settings(deadline=None)
def test_each_movie_keeps_as_many_raters_as_all_can_keep(rows, most):
    history = UserHistories(*np.array(rows).T, USERS, MOVIES)
    kept, counts = fewer_raters(history, most), history.item_counts.long()
    assert pairs_of(kept) <= pairs_of(history)
    assert pairs_of(fewer_raters(history, most)) == pairs_of(kept)
    if len(history.pairs) <= most:
        assert kept is history
        return
    k = int(kept.item_counts.max())
    assert torch.equal(kept.item_counts.long(), counts.clamp_max(k))
    assert k == 1 or len(kept.pairs) <= most
    assert counts.clamp_max(k + 1).sum() > most


def test_with_fewer_pairs_a_checkpoint_and_a_file_have_the_same_raters(planted):
    options = {**IMPLICIT, "implicit_pairs": 300}
    result = run("MMFS", planted.name, config_dict=planted.options(protocol="u1", epochs=2, **options))
    term = open_session("MMFS", planted, **options).model.tasks["rating"].implicit
    assert len(term.raters.pairs) <= 300 < len(term.history.pairs)
    again = run("MMFS", planted.name, config_dict=planted.options(evaluate=result.checkpoint, protocol="u1", **options))
    assert again.test == result.test
    loaded = load(result.checkpoint)
    loaded.save("model.safetensors")
    people, movies = [{"liked": ["m3", "m6"], "disliked": ["m4"]}], loaded.movies["item_id"]
    of_file = load("model.safetensors").predict_for_each(people, movies)["rating"]
    np.testing.assert_allclose(of_file, loaded.predict_for_each(people, movies)["rating"], atol=1e-5)


def test_a_movie_that_has_lost_its_identity_has_no_term(planted):
    session = open_session("MMFS", planted, protocol="cold-item", **IMPLICIT)
    model = session.model.eval()
    pairs, cold = all_pairs(model), ~model.catalogue.has_ratings
    with torch.no_grad():
        before = model.predict_rating(pairs).view(model.n_users, -1)
        for table in (model.tasks["rating"].implicit.item, model.tasks["rating"].implicit.rater):
            table += 1.0
        model.train().eval()
        after = model.predict_rating(pairs).view(model.n_users, -1)
    assert torch.equal(after[:, cold], before[:, cold]) and not torch.isclose(after[:, ~cold], before[:, ~cold]).all()


def test_full_sort_checkpoints_and_the_planted_truth(planted):
    options = planted.options(epochs=60, stopping_step=60, tasks=["rating", "genre"], **IMPLICIT)
    result = run("MMASP", planted.name, config_dict=options)
    assert result.test["rmse"] < 0.65
    model = load(result.checkpoint).model
    with torch.no_grad():
        pairs = all_pairs(model)
        whole = model.full_sort_predict({model.USER_ID: torch.arange(model.n_users)})
        torch.testing.assert_close(whole, model.predict(pairs), rtol=1e-4, atol=1e-4)
    assert run(arguments=[f"--evaluate={result.checkpoint}"]).test == result.test


def test_other_movies_and_people(planted):
    session = open_session("MMFS", planted, epochs=5, regression_weight=0, **IMPLICIT)
    session.trainer.fit(session.train_data, saved=False)
    model = session.model.eval()
    with torch.no_grad():
        ratings = model.predict_rating(all_pairs(model)).view(model.n_users, -1)
        larger = variants.with_movies(model, {"text": torch.ones(2, 3)})
        found = larger.predict_rating(all_pairs(larger)).view(model.n_users, -1)
        torch.testing.assert_close(found[:, : model.n_items], ratings)
        # A person with the movies of a user differs from the user by what was learned of the user alone, where no
        # regression reads the ratings themselves.
        user = 3
        liked, disliked = (sets.movies_of(user) for sets in (model.users.liked, model.users.disliked))
        model.tasks["rating"].user_bias[user] = 0.0
        model.tasks["rating"].implicit.user[user] = 0.0
        model.train().eval()
        person = variants.with_people(model, [liked], [disliked])
        items = torch.arange(model.n_items)
        torch.testing.assert_close(
            person.predict_rating({model.USER_ID: torch.zeros_like(items), model.ITEM_ID: items}),
            model.predict_rating({model.USER_ID: torch.full_like(items, user), model.ITEM_ID: items}),
        )
        colder = variants.without_ratings(model)
        mixed = variants.with_candidates(model, colder)
        assert torch.isfinite(mixed.predict_rating(all_pairs(mixed))).all()
        assert mixed.encoded().states["rating"].implicit.has_term.sum() == 0


def test_without_it_nothing_of_it_is_there(planted):
    assert open_session("MMFS", planted, implicit_size=0).model.tasks["rating"].implicit is None


def test_the_rest_of_the_model_learns_as_if_there_were_no_term(planted):
    session, without = (open_session("MMASP", planted, implicit_size=size) for size in (4, 0))
    model, batch = session.model.train(), next(iter(session.train_data))
    model.load_state_dict({**model.state_dict(), **without.model.state_dict()})
    torch.manual_seed(0)
    losses = model.calculate_loss(batch)
    losses["implicit"].backward()
    reached = {name for name, p in model.named_parameters() if p.grad is not None and (p.grad != 0).any()}
    assert reached and all(name.startswith("tasks.rating.implicit.") for name in reached)
    torch.manual_seed(0)
    assert torch.equal(losses["rating"], without.model.train().calculate_loss(batch)["rating"])


def test_one_loss_of_the_term_and_the_rest(planted):
    session = open_session("MMFS", planted, implicit_size=4, implicit_joint=True)
    losses = session.model.train().calculate_loss(next(iter(session.train_data)))
    assert "implicit" not in losses
    losses["rating"].backward()
    reached = {name for name, p in session.model.named_parameters() if p.grad is not None and (p.grad != 0).any()}
    assert {"tasks.rating.implicit.item", "tasks.rating.user_bias"} <= reached
