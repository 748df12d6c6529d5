from __future__ import annotations

import torch

from recbole_mm.data.profile import Members
from recbole_mm.model.ranking import RankedMovies, RankingHead, _HeldLikelihood

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
    sets = [Members(torch.arange(USERS).repeat_interleave(4), torch.arange(4).repeat(USERS), USERS)] * 2
    for _ in range(5):
        head.loss(RankedMovies(torch.eye(MOVIES), torch.eye(MOVIES), torch.zeros(MOVIES)), *sets)
    assert all(torch.equal(liked, disliked) for liked, disliked in seen)
    assert 0 < torch.stack([liked for liked, _ in seen]).sum() < 5 * USERS * 4
