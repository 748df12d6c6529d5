from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_mm.features.components import fit_rotation
from recbole_mm.model.layers import Dropout, Standardizer, reverse_gradient


@given(st.floats(0, 10))
@settings(deadline=None)
def test_gradient_reversal_is_the_identity_forwards_and_flips_the_sign_backwards(strength):
    features = torch.randn(5, 3, requires_grad=True)
    weights = torch.randn(5, 3)
    reversed_features = reverse_gradient(features, strength)
    assert torch.equal(reversed_features, features)
    (reversed_features * weights).sum().backward()
    assert torch.equal(features.grad, -strength * weights)


def test_standardizer_centres_columns_and_keeps_their_proportions():
    values = torch.randn(500, 2) * torch.tensor([10.0, 1.0]) + 7.0
    standard = Standardizer(values, 2)(values)
    torch.testing.assert_close(standard.mean(dim=0), torch.zeros(2), atol=1e-4, rtol=0)
    assert float(standard.square().mean()) == pytest.approx(1.0, rel=1e-4)
    assert float(standard[:, 0].std() / standard[:, 1].std()) == pytest.approx(10.0, rel=0.2)


def test_standardizer_of_no_movie_and_of_a_constant_stays_finite():
    for values in (torch.empty(0, 3), torch.ones(4, 3)):
        assert torch.isfinite(Standardizer(values, 3)(torch.randn(5, 3))).all()


def test_standardizer_of_raw_vectors_rotates_by_the_movies_it_was_given():
    torch.manual_seed(0)
    known = torch.randn(300, 6) * torch.tensor([1.0, 1e4, 1e-3, 1.0, 1.0, 0.0]) + 5.0
    known[0, 0] = 3e15  # as the aesthetic features have it
    standardizer = Standardizer(known, 6, components=3)
    assert standardizer.dimension == 6
    standard = standardizer(known)
    assert standard.shape == (300, 3) and standard.abs().max() < 10
    np.testing.assert_allclose(np.corrcoef(standard.numpy().T), np.eye(3), atol=1e-3)
    other = Standardizer(known[:150], 6, components=3)
    assert not torch.allclose(other(known), standard, atol=1e-2)
    # More components than there can be; no movie to learn from.
    assert Standardizer(known[:4], 6, components=50)(known).shape == (300, 4)
    assert torch.isfinite(Standardizer(torch.empty(0, 6), 6, components=3)(known)).all()


@pytest.mark.parametrize(("movies", "columns"), [(90, 120), (120, 90)])
def test_few_components_of_wide_vectors_are_those_of_a_full_decomposition(movies, columns):
    random = np.random.default_rng(1)
    raw = random.normal(size=(movies, 5)) @ random.normal(size=(5, columns))
    raw += 0.1 * random.normal(size=(movies, columns))
    few, all_of_them = fit_rotation(raw, 4), fit_rotation(raw, 90)  # Lanczos and LAPACK
    np.testing.assert_allclose(few(raw), all_of_them(raw)[:, :4], atol=1e-6)


@given(st.floats(0, 0.95), st.integers(0, 10**6))
@settings(deadline=None, max_examples=20)
def test_dropout_drops_the_given_part_and_keeps_the_expectation(probability, seed):
    torch.manual_seed(seed)
    dropped = Dropout(probability)(torch.ones(40_000))
    assert float((dropped == 0).float().mean()) == pytest.approx(probability, abs=0.02)
    assert float(dropped.mean()) == pytest.approx(1.0, abs=0.15)
    assert len(dropped.unique()) <= 2


def test_dropout_acts_in_training_only_and_lets_gradients_through_what_is_kept():
    dropout, x = Dropout(0.5), torch.ones(1000, requires_grad=True)
    assert torch.equal(dropout.eval()(x), x)
    dropped = dropout.train()(x)
    dropped.sum().backward()
    assert torch.equal(x.grad, dropped.detach())
