from __future__ import annotations

import copy

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_mm.model.users import UserHistories

USERS, ITEMS = 5, 6
ROWS = st.lists(
    st.tuples(st.integers(1, USERS - 1), st.integers(1, ITEMS - 1), st.sampled_from([0.5, 3.5, 4.0, 5.0])),
    max_size=25,
)


def build(rows, threshold=4.0):
    users, items, ratings = (np.array(column) for column in zip(*rows)) if rows else (np.zeros(0, int),) * 3
    liked = np.asarray(ratings, float) >= threshold
    return UserHistories(users[liked], items[liked], USERS, ITEMS)


def naive(rows, user, threshold=4.0, without=None):
    return sorted({m for u, m, r in rows if u == user and r >= threshold} - {without})


@given(ROWS)
@settings(deadline=None)
def test_profile_is_the_mean_of_the_liked_movies(rows):
    movies, empty = torch.randn(ITEMS, 3), torch.full((3,), 7.0)
    sets = build(rows)
    profiles = sets.averages(movies, empty)
    for user in range(USERS):
        liked = naive(rows, user)
        assert sets.movies_of(user) == liked
        torch.testing.assert_close(profiles[user], movies[liked].mean(dim=0) if liked else empty)


@given(ROWS)
@settings(deadline=None)
def test_leave_one_out_is_the_mean_without_the_target(rows):
    movies, empty = torch.randn(ITEMS, 3), torch.full((3,), 7.0)
    users = torch.arange(1, USERS).repeat_interleave(ITEMS - 1)
    items = torch.arange(1, ITEMS).repeat(USERS - 1)
    profiles = build(rows).leave_one_out(movies, movies[items], users, items, empty)
    for profile, user, item in zip(profiles, users.tolist(), items.tolist()):
        liked = naive(rows, user, without=item)
        torch.testing.assert_close(profile, movies[liked].mean(dim=0) if liked else empty, rtol=1e-4, atol=1e-5)


def test_the_profiles_of_few_users_are_summed_over_their_own_movies_alone(monkeypatch):
    """A batch with a user's rows together gets the same profiles and gradients without a sum over all users."""
    rows = [(user, item, 5.0) for user in range(1, USERS) for item in range(1, ITEMS) if (user * item) % 3]
    averages, movies = build(rows), torch.randn(ITEMS, 3, requires_grad=True)
    users, items = (torch.tensor(column) for column in zip(*[(u, i) for u, i, _ in rows if u in (2, 3)]))
    empty, weights = torch.full((3,), 7.0), torch.randn(len(users), 3)

    def profiles_and_gradient() -> tuple[torch.Tensor, torch.Tensor]:
        movies.grad = None
        found = averages.leave_one_out(movies, movies[items], users, items, empty)
        (found * weights).sum().backward()
        return found.detach(), movies.grad

    with monkeypatch.context() as patch:
        patch.setattr(UserHistories, "sums_of", lambda self, movies, users: self.sums(movies)[users])
        wanted = profiles_and_gradient()
    monkeypatch.setattr(UserHistories, "sums", None)
    torch.testing.assert_close(profiles_and_gradient(), wanted)


def test_a_movie_rated_twice_counts_once():
    assert build([(1, 2, 5.0), (1, 2, 4.0), (1, 2, 1.0)]).counts.tolist() == [0, 1, 0, 0, 0]


def test_gradient_equals_that_of_the_dense_product():
    rows = [(1, 1, 5.0), (1, 2, 5.0), (2, 2, 4.0), (3, 5, 1.0)]
    liked = build(rows)
    movies = torch.randn(ITEMS, 3, dtype=torch.float32, requires_grad=True)
    weights = torch.randn(USERS, 3)
    (liked.sums(movies) * weights).sum().backward()
    torch.testing.assert_close(movies.grad, liked.matrix.to_dense().T @ weights)


def test_a_copy_averages_alike():
    averages, movies = build([(1, 1, 5.0), (2, 2, 4.0)]), torch.randn(ITEMS, 3)
    assert torch.equal(copy.deepcopy(averages).averages(movies), averages.averages(movies))


def test_half_precision_sums_are_computed_in_full():
    averages, movies = build([(1, 1, 5.0), (1, 2, 4.0)]), torch.randn(ITEMS, 3)
    with torch.autocast("cpu"):
        assert averages.averages(movies).dtype == torch.float32


@given(ROWS)
@settings(deadline=None)
def test_sets_of_chosen_users_are_listed_counted_and_summed(rows):
    averages, users, movies = build(rows), torch.tensor([3, 0, 1, 3]), torch.randn(ITEMS, 3, dtype=torch.float64)
    members = averages.of(users)
    assert members.user_num == 4
    for place, user in enumerate(users.tolist()):
        assert members.movie[members.row == place].tolist() == naive(rows, user)
        assert members.counts()[place] == len(naive(rows, user))
        torch.testing.assert_close(members.sums(movies)[place], movies[naive(rows, user)].sum(dim=0))
    kept = members.where(members.movie > 1)
    assert kept.user_num == 4 and (kept.movie > 1).all() and len(kept.row) == int((members.movie > 1).sum())
