from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from model_contract import assert_same_losses, open_session

from recbole_mm.model import variants
from recbole_mm.model.closed_form.kernels import rated_matrix, rbf_kernel
from recbole_mm.model.closed_form.labels import LabelRegression
from recbole_mm.model.content import ContentVectors

USERS, MOVIES, LABELLED = 6, 12, 9


def some_content(number: int = MOVIES, seed: int = 0) -> list[ContentVectors]:
    """Two modalities; some movies lack one of them."""
    generator = torch.Generator().manual_seed(seed)
    values = [torch.randn(number, size, generator=generator) for size in (3, 5)]
    return [ContentVectors(x, torch.rand(number, generator=generator) < 0.8) for x in values]


def some_targets(number: int = MOVIES) -> torch.Tensor:
    return (torch.rand(number, 4, generator=torch.Generator().manual_seed(2)) < 0.4).float()


PAIRS = st.lists(st.tuples(st.integers(1, USERS - 1), st.integers(1, MOVIES - 1)), min_size=1, unique=True)


@given(PAIRS)
@settings(deadline=None, max_examples=50)
def test_predictions_are_two_ridge_regressions(pairs):
    users, items = np.array(pairs).T
    content, targets, trained = some_content(), some_targets(), torch.arange(1, LABELLED)
    rated = rated_matrix(users, items, USERS, MOVIES)
    has_ratings = torch.from_numpy(np.bincount(items, minlength=MOVIES) > 0)
    shuffled = trained.flip(0)
    found = LabelRegression(content, rated, targets, shuffled)(content, has_ratings, torch.arange(MOVIES))
    raters = [set(users[items == movie]) for movie in range(MOVIES)]
    kernels = {False: rbf_kernel(content, content).double().numpy()}
    both = np.array([[len(a & b) / np.sqrt((len(a) + 5) * (len(b) + 5)) for b in raters] for a in raters])
    kernels[True] = kernels[False] + LabelRegression.RATERS_WEIGHT * both
    y = targets[trained].double().numpy()
    for movie in range(MOVIES):
        kernel = kernels[bool(has_ratings[movie])]
        penalised = kernel[np.ix_(trained, trained)] + LabelRegression.PENALTY * np.eye(len(trained))
        expected = y.mean(axis=0) + kernel[movie, trained] @ np.linalg.solve(penalised, y - y.mean(axis=0))
        np.testing.assert_allclose(found[movie].numpy(), expected.clip(0, 1), atol=1e-5)


def test_labels_that_are_held_out_are_not_read():
    content, targets, trained = some_content(), some_targets(), torch.arange(1, LABELLED)
    rated = rated_matrix(np.array([1, 2, 2]), np.array([1, 1, 10]), USERS, MOVIES)
    everything = torch.arange(MOVIES), torch.ones(MOVIES, dtype=torch.bool)

    def predictions(targets: torch.Tensor) -> torch.Tensor:
        return LabelRegression(content, rated, targets, trained)(content, everything[1], everything[0])

    turned = targets.clone()
    turned[LABELLED:] = 1 - turned[LABELLED:]
    assert torch.equal(predictions(turned), predictions(targets))
    turned[1] = 1 - turned[1]
    assert not torch.equal(predictions(turned), predictions(targets))


def test_few_landmarks_come_close_to_the_dense_form():
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(220, 2, generator=generator) @ torch.randn(2, 8, generator=generator)
    content = [ContentVectors(values, torch.ones(220, dtype=torch.bool))]
    targets = (values[:, :4] > 0).float()
    pairs = np.unique(np.random.default_rng(0).integers(0, (30, 220), size=(900, 2)), axis=0)
    rated = rated_matrix(*pairs.T, 30, 220)
    trained, has_ratings = torch.arange(200), torch.arange(220) % 2 == 0

    def predictions(landmarks: int) -> torch.Tensor:
        return LabelRegression(content, rated, targets, trained, landmarks)(content, has_ratings, torch.arange(220))

    dense = predictions(200)
    torch.testing.assert_close(predictions(2000), dense)
    spread = (dense - targets[:200].mean(dim=0)).norm()
    close, far = (float((predictions(few) - dense).norm() / spread) for few in (150, 5))
    assert close < 0.25 < far


def test_a_new_movie_is_predicted_by_content_alone():
    content, targets, trained = some_content(), some_targets(), torch.arange(1, LABELLED)
    rated = rated_matrix(np.array([1, 2, 2]), np.array([1, 1, 3]), USERS, MOVIES)
    has_ratings = torch.zeros(MOVIES, dtype=torch.bool)
    model = LabelRegression(content, rated, targets, trained)
    before = model(content, has_ratings, torch.arange(MOVIES))
    more = [ContentVectors(torch.cat([x, x[[4]]]), torch.cat([p, p[[4]]])) for x, p in content]
    larger = model.with_movies(1)
    after = larger(more, torch.cat([has_ratings, torch.tensor([False])]), torch.arange(MOVIES + 1))
    torch.testing.assert_close(after[:-1], before)
    torch.testing.assert_close(after[-1], before[4])
    assert len(larger.of_cold) == MOVIES + 1, "its sizes are those of a model of the larger catalogue"


def test_genres_are_the_mean_of_both_and_nothing_else_changes(planted):
    alone, half, only = (open_session("MMSP", planted, genre_regression_weight=weight) for weight in (0, 0.5, 1))
    items = torch.arange(half.model.n_items)
    with torch.no_grad():
        learned, mixed, closed = (session.model.eval().predict_genres(items) for session in (alone, half, only))
        assert closed[1:].std() > 0.01 and ((closed >= 0) & (closed <= 1)).all()
        torch.testing.assert_close(mixed, (learned + closed) / 2)
        cold = variants.without_ratings(only.model)
        assert not torch.equal(cold.predict_genres(items), closed), "who rated a movie says something of its genres"
        nothing = variants.with_modalities(cold, [])
        mean = only.model.tasks["genre"].regression.mean
        torch.testing.assert_close(nothing.predict_genres(items), mean.expand(len(items), -1))
    assert_same_losses(half, alone)


def test_test_rows_and_held_out_genres_change_nothing(planted):
    """A user who rated a movie in the test part alone is no rater of it."""
    session = open_session("MMFS", planted, genre_regression_weight=1)
    rows = session.split.train.inter_feat
    rated = rated_matrix(
        rows[session.model.USER_ID].numpy(),
        rows[session.model.ITEM_ID].numpy(),
        session.model.n_users,
        session.model.n_items,
    )
    task = session.model.tasks["genre"]
    expected = LabelRegression(session.model.catalogue.content(), rated, task.targets, task.training_movies)
    assert torch.equal(task.regression.from_raters, expected.from_raters)
    held_out = session.split.label_items["genre"].test
    assert not set(held_out.tolist()) & set(task.regression.landmarks.ids.tolist())
