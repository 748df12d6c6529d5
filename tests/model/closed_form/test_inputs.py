from __future__ import annotations

import numpy as np
import torch

from recbole_mm.model.closed_form.inputs import ContentInputs, PredictedLabels, TrainingLabels
from recbole_mm.model.closed_form.kernels import rbf_kernel
from recbole_mm.model.content import ContentVectors

MOVIES, GENRES, COMPONENTS = 30, 4, 6
TRAINED = torch.tensor([9, 2, 4, 17, 6, 11, 1, 20, 14, 3, 8])  # in no order
HAS_RATINGS = torch.arange(MOVIES) % 3 > 0


def some_content(number: int = MOVIES) -> list[ContentVectors]:
    """Two modalities; some movies lack one of them, or both."""
    generator = torch.Generator().manual_seed(0)
    values = [torch.randn(number, size, generator=generator) for size in (3, 5)]
    return [ContentVectors(x, torch.rand(number, generator=generator) < 0.8) for x in values]


def some_labels() -> TrainingLabels:
    targets = torch.rand(MOVIES, GENRES, generator=torch.Generator().manual_seed(2)) < 0.4
    return TrainingLabels(targets.float(), TRAINED)


def test_a_movie_with_labels_has_the_prediction_of_the_others():
    content, (targets, trained) = some_content(), some_labels()
    found = PredictedLabels(content, some_labels())
    kernel = rbf_kernel(content, content).double().numpy()
    y = targets[trained].double().numpy()
    y = y - y.mean(axis=0)
    alone = []
    for place, movie in enumerate(trained.tolist()):
        others = np.delete(trained.numpy(), place)
        penalised = kernel[np.ix_(others, others)] + PredictedLabels.PENALTY * np.eye(len(others))
        alone.append(kernel[movie, others] @ np.linalg.solve(penalised, np.delete(y, place, axis=0)))
    size = np.sqrt(np.square(alone).mean(axis=0).max())
    np.testing.assert_allclose(found.of_training.numpy(), alone / size, atol=1e-5)
    penalised = kernel[np.ix_(trained, trained)] + PredictedLabels.PENALTY * np.eye(len(trained))
    np.testing.assert_allclose(
        found(content).numpy(), kernel[:, trained] @ np.linalg.solve(penalised, y) / size, atol=1e-5
    )


def test_few_landmarks_come_close_to_the_dense_form():
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(220, 2, generator=generator) @ torch.randn(2, 8, generator=generator)
    content = [ContentVectors(values, torch.ones(220, dtype=torch.bool))]
    labels = TrainingLabels((values[:, :4] > 0).float(), torch.arange(200).flip(0))

    def predictions(landmarks: int) -> tuple[torch.Tensor, torch.Tensor]:
        found = PredictedLabels(content, labels, landmarks)
        return found(content), found.of_training

    dense = predictions(200)
    for place in range(2):
        spread = dense[place].norm()
        close, far = (float((predictions(few)[place] - dense[place]).norm() / spread) for few in (150, 5))
        assert close < 0.25 < far


def test_labels_that_are_held_out_are_not_read():
    content, labels = some_content(), some_labels()
    held_out = torch.ones(MOVIES, dtype=torch.bool)
    held_out[TRAINED] = False

    def inputs(turned: torch.Tensor) -> torch.Tensor:
        targets = torch.where(turned[:, None], 1 - labels.targets, labels.targets)
        return ContentInputs(content, HAS_RATINGS, COMPONENTS, labels._replace(targets=targets)).movies

    before = inputs(torch.zeros(MOVIES, dtype=torch.bool))
    assert torch.equal(inputs(held_out), before)
    assert not torch.equal(inputs(~held_out), before)


def test_components_and_labels_stand_side_by_side_and_two_views_read_them():
    content, labels = some_content(), some_labels()
    both, without = (ContentInputs(content, HAS_RATINGS, COMPONENTS, one) for one in (labels, None))
    assert both.movies.shape == (MOVIES, 1 + COMPONENTS + GENRES)
    assert torch.equal(both.movies[:, : 1 + COMPONENTS], without.movies)
    assert (both.movies[:, 0] == 1).all()
    of_rated = both.movies[HAS_RATINGS, 1].square().mean()
    torch.testing.assert_close(of_rated, torch.tensor(1.0))
    assert both.views() == [[0, 1, 2, 3, 4, 5, 6], [0, 1, 2, 3, 7, 8, 9, 10]]
    assert without.views() == [[0, 1, 2, 3, 4, 5, 6], [0, 1, 2, 3]]


def test_sizes_follow_from_the_options_alone():
    """So that a model file can be read into a model that was built without its data."""
    nothing = torch.zeros(MOVIES, dtype=torch.bool)
    content = [ContentVectors(field.values, nothing) for field in some_content()]
    labels = TrainingLabels(torch.zeros(MOVIES, GENRES), torch.zeros(1, dtype=torch.long))
    empty = ContentInputs(content, nothing, COMPONENTS, labels)
    full = ContentInputs(some_content(), HAS_RATINGS, COMPONENTS, some_labels())
    shapes = [{name: buffer.shape for name, buffer in one.named_buffers()} for one in (empty, full)]
    assert shapes[0] == shapes[1] and len(shapes[0]) > 5
    assert empty.movies.isfinite().all()
    assert ContentInputs([], HAS_RATINGS, COMPONENTS, some_labels()).movies.shape == (MOVIES, 1 + COMPONENTS)


def test_a_movie_for_which_nothing_has_changed_keeps_its_inputs():
    content, labels = some_content(), some_labels()
    inputs = ContentInputs(content, HAS_RATINGS, COMPONENTS, labels)
    trained = int(next(movie for movie in TRAINED if content[0].present[movie] and content[1].present[movie]))
    kept = [field.present.clone() for field in content]
    kept[0][trained] = False
    other = inputs.with_catalogue([ContentVectors(x, p) for (x, _), p in zip(content, kept)], MOVIES)
    unchanged = torch.arange(MOVIES) != trained
    assert torch.equal(other.movies[unchanged], inputs.movies[unchanged])
    assert not torch.equal(other.movies[trained], inputs.movies[trained])
    back = other.with_catalogue(content, MOVIES)
    assert torch.equal(back.movies[unchanged], inputs.movies[unchanged])

    cold = int(next(movie for movie in range(MOVIES) if movie not in TRAINED.tolist()))
    more = [ContentVectors(torch.cat([x, x[[cold]]]), torch.cat([p, p[[cold]]])) for x, p in content]
    larger = inputs.with_catalogue(more, MOVIES + 1)
    assert torch.equal(larger.movies[:-1], inputs.movies)
    torch.testing.assert_close(larger.movies[-1], inputs.movies[cold])
    assert len(larger.labels.weights) == MOVIES + 1, "its sizes are those of a model of the larger catalogue"
