from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_mm.data.user_sets import UserSets
from recbole_mm.model.tasks.ranking import EASE, RankedMovies, RankingHead, _HeldLikelihood

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
    expected, found = plain(first), _HeldLikelihood.apply(second + 0, GIVEN, HELD)
    torch.testing.assert_close(found, expected)
    (3 * expected).backward()
    (3 * found).backward()
    torch.testing.assert_close(second.grad, first.grad)


def test_a_movie_rated_both_above_and_below_the_threshold_is_given_or_held_in_both_sets():
    head = RankingHead(4, MOVIES, MOVIES, dropout=0.0, influence=1.0)
    seen = []
    head.queries = lambda liked, disliked, counts: seen.append((liked, disliked)) or liked
    sets = [UserSets(torch.arange(USERS).repeat_interleave(4), torch.arange(4).repeat(USERS), USERS)] * 2
    for _ in range(5):
        head.loss(RankedMovies(torch.eye(MOVIES), torch.eye(MOVIES), torch.zeros(MOVIES)), *sets)
    assert all(torch.equal(liked, disliked) for liked, disliked in seen)
    assert 0 < torch.stack([liked for liked, _ in seen]).sum() < 5 * USERS * 4


@given(st.lists(st.tuples(st.integers(1, USERS - 1), st.integers(1, MOVIES - 2)), min_size=1))
@settings(deadline=None)
def test_item_weights_are_the_ridge_regressions_of_each_movie_on_the_others(pairs):
    users, items = np.array(pairs).T
    weights = EASE(users, items, USERS, MOVIES).weights
    rated = torch.zeros(USERS, MOVIES)
    rated[users, items] = 1.0
    assert (weights[:, -1] == 0).all() and (weights[-1] == 0).all(), "nobody rated the last movie"
    for movie in range(MOVIES):
        others = [i for i in range(MOVIES) if i != movie]
        x = rated[:, others]
        ridge = torch.linalg.solve(x.T @ x + EASE.REGULARISATION * torch.eye(MOVIES - 1), x.T @ rated[:, movie])
        torch.testing.assert_close(weights[others, movie], ridge, atol=1e-6, rtol=1e-4)
        assert weights[movie, movie] == 0


def test_a_list_of_movies_of_somebody_in_no_data_set_is_scored():
    model = EASE(np.array([1, 1, 2, 2, 2]), np.array([1, 2, 1, 2, 3]), USERS, MOVIES)
    liked = UserSets(torch.tensor([0, 0]), torch.tensor([1, 3]), 1)
    disliked = UserSets(torch.tensor([0]), torch.tensor([2]), 1)
    torch.testing.assert_close(model(liked, disliked), model.weights[1:4].sum(dim=0, keepdim=True))
    nobody = UserSets(*torch.empty(2, 0, dtype=torch.long), 1)
    assert torch.equal(model(nobody, nobody), torch.zeros(1, MOVIES))
