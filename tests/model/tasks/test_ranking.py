from __future__ import annotations

import numpy as np
import pytest
import torch
from model_contract import open_session, predictions

from recbole_mm.data.user_sets import UserSets
from recbole_mm.model.closed_form.ease import EASE
from recbole_mm.model.tasks.ranking import RankedMovies, RankingHead, _TargetLikelihood

USERS, MOVIES = 3, 8
GIVEN = torch.tensor([1, 2, MOVIES + 3, 2 * MOVIES + 5])
HELD = torch.tensor([4, 5, 6, MOVIES + 1])  # the last user has none


def plain(scores: torch.Tensor) -> torch.Tensor:
    """The loss over dense masks."""
    given, held = (torch.zeros(USERS * MOVIES).index_fill(0, cells, 1.0).view(USERS, MOVIES) for cells in (GIVEN, HELD))
    likelihood = torch.where(held > 0, scores.masked_fill(given > 0, -torch.inf).log_softmax(dim=1), 0.0).sum(dim=1)
    return -(likelihood / held.sum(dim=1).clamp_min(1).sqrt()).mean()


def test_likelihood_and_its_gradient_equal_those_of_dense_masks():
    first = torch.randn(USERS, MOVIES, requires_grad=True)
    second = first.detach().clone().requires_grad_()
    expected, found = plain(first), _TargetLikelihood.apply(second + 0, GIVEN, HELD)
    torch.testing.assert_close(found, expected)
    (3 * expected).backward()
    (3 * found).backward()
    torch.testing.assert_close(second.grad, first.grad)


def test_a_movie_rated_both_above_and_below_the_threshold_is_given_or_held_in_both_sets():
    head = RankingHead(4, MOVIES, MOVIES, dropout=0.0, gradient_scale=1.0)
    seen = []
    head.queries = lambda liked, disliked, counts: seen.append((liked, disliked)) or liked
    sets = [UserSets(torch.arange(USERS).repeat_interleave(4), torch.arange(4).repeat(USERS), USERS)] * 2
    for _ in range(5):
        head.loss(RankedMovies(torch.eye(MOVIES), torch.eye(MOVIES), torch.zeros(MOVIES)), *sets)
    assert all(torch.equal(liked, disliked) for liked, disliked in seen)
    assert 0 < torch.stack([liked for liked, _ in seen]).sum() < 5 * USERS * 4


def test_ranking_profiles_hold_no_movie_that_is_to_be_predicted(planted):
    """With one-hot a(m) and c(m) a profile scores exactly its own movies, so no held-out movie may score."""
    session = open_session("MMASP", planted, ranking_size=91)
    model = session.model.train()
    size = model.n_items
    ranked = RankedMovies(torch.eye(size), torch.eye(size), torch.zeros(size))
    scored = []
    model.tasks["ranking"].head.queries = lambda liked, disliked, counts: scored.append(liked + disliked) or liked
    users = model.users.raters
    sets = model.users.liked.of(users), model.users.disliked.of(users)
    loss = model.tasks["ranking"].head.loss(ranked, *sets)
    liked, disliked = (members.sums(torch.eye(size)) for members in sets)
    given, rated = scored[0], liked + disliked
    assert torch.isfinite(loss) and set(given.unique().tolist()) == {0.0, 1.0}
    assert ((given == 0) | (rated == 1)).all(), "profiles hold training movies only"
    assert 0.4 < given.sum() / rated.sum() < 0.6
    rows = session.split.train.inter_feat
    assert rated.sum() == len(set(zip(rows[model.USER_ID].tolist(), rows[model.ITEM_ID].tolist())))
    # log-likelihood of the held movies alone, among the movies not given
    held = rated * (1 - given)
    scores = torch.where(given > 0, -torch.inf, (liked * given).to(torch.float))
    likelihood = torch.where(held > 0, scores.log_softmax(dim=1), 0.0).sum(dim=1)
    assert float(loss) == pytest.approx(float(-(likelihood / held.sum(dim=1).sqrt()).mean()), rel=1e-5)


def test_a_movie_loses_its_residual_as_a_candidate_only(planted):
    model = open_session("MMASP", planted).model.train()
    representation = model.encoded().movies.of_task["ranking"]
    lost = torch.zeros_like(model.catalogue.has_ratings)
    kept, without = (
        model.tasks["ranking"].head.movies(representation, model.catalogue.has_ratings, has_identity)
        for has_identity in (model.catalogue.has_ratings, lost)
    )
    assert torch.equal(kept.rated, without.rated)
    assert not torch.isclose(kept.candidate, without.candidate)[model.catalogue.has_ratings].any(dim=1).all()
    cold = model.tasks["ranking"].head.movies(representation, lost, lost)
    assert torch.equal(cold.candidate, without.candidate) and not torch.equal(cold.rated, without.rated)


def test_ease_weights_are_added_to_the_ranking_scores_and_to_nothing_else(planted):
    without = predictions("MMASP", planted, ease_weight=0)
    found = predictions("MMASP", planted, ease_weight=3.0)
    assert torch.equal(found[0], without[0]) and torch.equal(found[1], without[1])
    model = open_session("MMASP", planted).model
    rated = sum(averages.matrix.to_dense() for averages in (model.users.liked, model.users.disliked))
    expected = 3 * (rated @ model.tasks["ranking"].ease.weights).flatten()
    assert expected.abs().max() > 0.1
    torch.testing.assert_close(found[2], without[2] + expected, rtol=1e-5, atol=1e-5)
    assert not hasattr(open_session("MMASP", planted, ease_weight=0).model, "ease")


def ease_of(session, users, items) -> torch.Tensor:
    catalogue = session.model.catalogue
    return EASE(users, items, session.model.n_users, catalogue.content(), catalogue.has_ratings, 100.0).weights


def test_ease_weights_are_solved_from_training_rows_alone(planted):
    session = open_session("MMASP", planted)
    model, rows = session.model, session.split.train.inter_feat
    users, items = (rows[field].numpy() for field in (model.USER_ID, model.ITEM_ID))
    expected = ease_of(session, users, items)
    assert torch.equal(model.tasks["ranking"].ease.weights, expected)
    more = session.split.test.inter_feat
    users, items = (np.append(rows[field], more[field]) for field in (model.USER_ID, model.ITEM_ID))
    assert not torch.equal(ease_of(session, users, items), expected)


def test_a_movie_without_training_ratings_has_weights_from_content_and_no_influence(planted):
    model = open_session("MMASP", planted, protocol="cold-item").model
    cold = ~model.catalogue.has_ratings
    cold[0] = False  # [PAD] has no content
    weights = model.tasks["ranking"].ease.weights
    assert cold.sum() > 20 and (weights[cold] == 0).all() and (weights[:, 0] == 0).all()
    assert (weights[model.catalogue.has_ratings] != 0).any(dim=1).all()
    assert (weights[:, cold] != 0).any(dim=0).all()
    without = open_session("MMASP", planted, protocol="cold-item", ease_content_weight=0).model
    assert (without.tasks["ranking"].ease.weights[:, cold] == 0).all()


def test_ranking_reaches_the_shared_movies_by_its_gradient_scale_only(planted):
    for influence, reached in ((0.0, False), (0.5, True)):
        session = open_session("MMASP", planted, tasks=["ranking"], ranking_gradient_scale=influence, metrics=["NDCG"])
        model = session.model.train()
        model.tasks["ranking"].head.content.weight.data.fill_(1.0)
        model.calculate_loss(session.split.train.inter_feat)["ranking"].backward()
        gradient = model.catalogue.field("text").projection.grad
        assert (gradient is not None and bool((gradient != 0).any())) == reached
        assert (model.tasks["ranking"].head.residual.grad != 0).any()
