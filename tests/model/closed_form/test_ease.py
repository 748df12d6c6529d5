from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_mm.data.user_sets import UserSets
from recbole_mm.model.closed_form.ease import EASE, ContentRegression
from recbole_mm.model.closed_form.kernels import rbf_kernel
from recbole_mm.model.content import ContentVectors

USERS, MOVIES = 5, 7


def some_content(number: int = MOVIES, seed: int = 0) -> list[ContentVectors]:
    """Two modalities; some movies lack one of them, the first movie ([PAD]) both."""
    generator = torch.Generator().manual_seed(seed)
    values = [torch.randn(number, size, generator=generator) for size in (3, 5)]
    present = [torch.rand(number, generator=generator) < 0.8 for _ in values]
    for mask in present:
        mask[0] = False
    return [ContentVectors(x, mask) for x, mask in zip(values, present)]


def has_ratings(items: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.bincount(items, minlength=MOVIES) > 0)


@given(
    st.lists(st.tuples(st.integers(1, USERS - 1), st.integers(1, MOVIES - 2)), min_size=1), st.sampled_from([0.0, 50.0])
)
@settings(deadline=None)
def test_weights_are_the_ridge_regressions_of_each_rated_movie_on_the_others(pairs, content_weight):
    users, items = np.array(pairs).T
    content, rated = some_content(), has_ratings(items)
    weights = EASE(users, items, USERS, content, rated, content_weight).weights
    x = torch.zeros(USERS, MOVIES)
    x[users, items] = 1.0
    gram = x.T @ x + content_weight * rbf_kernel(content, content)
    for movie in torch.nonzero(rated).squeeze(1).tolist():
        others = [i for i in range(MOVIES) if i != movie and rated[i]]
        penalised = gram[others][:, others] + EASE.REGULARISATION * torch.eye(len(others))
        ridge = torch.linalg.solve(penalised, gram[others, movie])
        torch.testing.assert_close(weights[others, movie], ridge, atol=1e-6, rtol=1e-4)
        assert weights[movie, movie] == 0
    assert (weights[~rated] == 0).all()
    if not content_weight:
        assert (weights[:, ~rated] == 0).all()


def test_a_movie_without_ratings_is_scored_by_each_users_ridge_regression_on_content():
    users, items = np.array([1, 1, 2, 2, 3]), np.array([1, 2, 1, 3, 4])
    content, rated = some_content(), has_ratings(items)
    weights = EASE(users, items, USERS, content, rated, 100.0).weights
    kernel = rbf_kernel(content, content).double()
    x = torch.zeros(USERS, MOVIES, dtype=torch.double)
    x[users, items] = 1.0
    among = kernel[rated][:, rated] + ContentRegression.PENALTY * torch.eye(int(rated.sum()), dtype=torch.double)
    coefficients = torch.linalg.solve(among, x[:, rated].T)  # one regression for each user
    expected = coefficients.T @ kernel[rated][:, ~rated]
    torch.testing.assert_close((x.float() @ weights)[:, ~rated].double(), expected, atol=1e-6, rtol=1e-4)


def test_a_kernel_counts_a_modality_that_one_of_two_movies_lacks_as_nothing():
    content = some_content()
    kernel = rbf_kernel(content, content)
    torch.testing.assert_close(kernel, kernel.T)
    assert (kernel[0] == 0).all()
    for one in range(1, MOVIES):
        for other in range(1, MOVIES):
            terms = [
                np.exp(-float((x[one] - x[other]).square().sum()) / 2 / x.shape[1]) if p[one] and p[other] else 0.0
                for x, p in content
            ]
            assert float(kernel[one, other]) == pytest.approx(np.mean(terms), abs=1e-5)


def test_a_list_of_movies_of_somebody_in_no_data_set_is_scored():
    users, items = np.array([1, 1, 2, 2, 2]), np.array([1, 2, 1, 2, 3])
    model = EASE(users, items, USERS, some_content(), has_ratings(items), 100.0)
    liked = UserSets(torch.tensor([0, 0]), torch.tensor([1, 3]), 1)
    disliked = UserSets(torch.tensor([0]), torch.tensor([2]), 1)
    torch.testing.assert_close(model(liked, disliked), model.weights[1:4].sum(dim=0, keepdim=True))
    nobody = UserSets(*torch.empty(2, 0, dtype=torch.long), 1)
    assert torch.equal(model(nobody, nobody), torch.zeros(1, MOVIES))


def test_a_larger_catalogue_keeps_its_weights_and_scores_new_movies_by_content():
    users, items = np.array([1, 1, 2, 2, 3]), np.array([1, 2, 1, 3, 4])
    content, rated = some_content(), has_ratings(items)
    model = EASE(users, items, USERS, content, rated, 100.0)
    more = [
        ContentVectors(torch.cat([x, x[[1]]]), torch.cat([p, p[[1]]])) for x, p in content
    ]  # a twin of movie 1 that nobody rated
    larger = model.with_catalogue(more, torch.cat([rated, torch.tensor([False])]))
    assert torch.equal(larger.weights[:-1, :-1], model.weights) and (larger.weights[-1] == 0).all()
    cold = model.with_catalogue(content, torch.zeros_like(rated))
    torch.testing.assert_close(larger.weights[:-1, -1], cold.weights[:, 1])
    assert (cold.weights[rated][:, 1:].abs().sum(dim=0) > 0).all(), "without its ratings a movie has its content"


def test_few_landmarks_come_close_to_the_dense_form():
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(220, 2, generator=generator) @ torch.randn(2, 8, generator=generator)
    content = [ContentVectors(values, torch.ones(220, dtype=torch.bool))]
    rated = torch.arange(220) < 200
    new = [field.of(~rated) for field in content]
    dense = ContentRegression(content, rated).columns(new)
    torch.testing.assert_close(ContentRegression(content, rated, landmarks=200).columns(new), dense)
    close, far = (ContentRegression(content, rated, landmarks=few).columns(new) - dense for few in (120, 5))
    close, far = (float(difference.norm() / dense.norm()) for difference in (close, far))
    assert close < 0.05 < far
    assert (dense[~rated] == 0).all()
