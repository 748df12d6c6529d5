from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_mm.model import losses


def test_rating_loss_is_the_mean_squared_error_of_the_rows_that_count():
    predicted, rating = torch.tensor([1.0, 2.0, 9.0]), torch.tensor([2.0, 4.0, 5.0])
    assert float(losses.rating_loss(predicted, rating)) == pytest.approx((1 + 4 + 16) / 3)
    assert float(losses.rating_loss(predicted, rating, torch.tensor([True, True, False]))) == pytest.approx(2.5)
    assert float(losses.rating_loss(predicted, rating, torch.zeros(3, dtype=torch.bool))) == 0.0


def test_genre_loss_is_the_binary_cross_entropy():
    logits, genres = torch.tensor([[0.0, 2.0]]), torch.tensor([[1.0, 0.0]])
    expected = (torch.log(torch.tensor(2.0)) + torch.log1p(torch.exp(torch.tensor(2.0)))) / 2
    assert float(losses.genre_loss(logits, genres)) == pytest.approx(float(expected))


def test_discriminator_loss_weighs_both_draws_alike_however_many_rows_they_have():
    one, many = torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 1.0]]).repeat(50, 1)
    balanced = losses.discriminator_loss(one, many)
    assert float(balanced) == pytest.approx(float(losses.discriminator_loss(one.repeat(50, 1), many)))
    assert float(losses.discriminator_accuracy(one, many)) == 1.0
    assert float(losses.discriminator_accuracy(many[:2], many)) == 0.5


@given(st.integers(2, 40), st.integers(1, 8), st.integers(1, 8), st.floats(0.01, 100), st.integers(0, 10**6))
@settings(deadline=None)
def test_orthogonality_is_between_0_and_1_and_free_of_scale(rows, shared_size, private_size, scale, seed):
    torch.manual_seed(seed)
    shared, private = torch.randn(rows, shared_size), torch.randn(rows, private_size)
    value = float(losses.orthogonality_loss(shared, private))
    assert -1e-6 <= value <= 1 + 1e-5
    assert float(losses.orthogonality_loss(shared * scale, private)) == pytest.approx(value, rel=1e-3, abs=1e-6)


def test_orthogonality_of_equal_and_of_unrelated_directions():
    line = torch.linspace(-1, 1, 9)[:, None]
    assert float(losses.orthogonality_loss(line, 3 * line)) == pytest.approx(64 / 81)  # the middle row is zero
    square = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert float(losses.orthogonality_loss(square[:, :1], square[:, 1:])) == pytest.approx(0.0)


def test_orthogonality_leaves_its_arguments_as_they_are():
    shared = torch.randn(5, 3) + 4
    before = shared.clone()
    losses.orthogonality_loss(shared, torch.randn(5, 3))
    assert torch.equal(shared, before)
