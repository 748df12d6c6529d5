from __future__ import annotations

import math

import pytest
import torch
from model_contract import ModelContract, open_session, predictions

from recbole_mm.model.losses import discriminator_accuracy, discriminator_loss
from recbole_mm.model.mmasp import TaskDiscriminator


class TestMMASP(ModelContract):
    name = "MMASP"
    expected_rmse = (0.8988, 0.9048)  # 0.9018 on 2026-11-28; the seeds' deviation is .001

    def test_without_its_two_terms_it_is_mmsp_bit_for_bit(self, planted):
        without = predictions("MMASP", planted, adversarial_strength=0.0, orthogonality_weight=0.0)
        for first, second in zip(without, predictions("MMSP", planted)):
            assert torch.equal(first, second)

    def test_each_of_its_two_terms_changes_the_model(self, planted):
        plain = predictions("MMSP", planted)[0]
        for only in ({"orthogonality_weight": 0.0}, {"adversarial_strength": 0.0}):
            assert not torch.equal(predictions("MMASP", planted, **only)[0], plain)

    def test_losses_and_accuracy_are_named(self, planted):
        session = open_session("MMASP", planted)
        session.trainer.fit(session.train_data, saved=False)
        epoch = session.trainer.history[-1]
        assert set(epoch["losses"]) == {
            *("rating", "implicit", "genre", "genre_linear", "ranking", "discriminator", "orthogonality")
        }
        assert 0.0 <= epoch["statistics"]["discriminator_accuracy"] <= 1.0

    def test_discriminator_learns_when_the_draws_differ(self, planted):
        # Only movies of the first kind are rated often: popularity can be read off the vectors.
        kind = dict(zip(planted.tokens, planted.kind))
        rows = planted.ratings
        keep = [kind[token] == 0 or i % 10 == 0 for i, token in enumerate(rows["item_id:token"])]
        planted.ratings = rows[keep].reset_index(drop=True)
        planted.write()
        accuracy = {}
        for strength in (0.0, 20.0):
            session = open_session("MMASP", planted, adversarial_strength=strength, epochs=60)
            session.trainer.fit(session.train_data, saved=False)
            late = session.trainer.history[-20:]  # one epoch's accuracy is a noisy number
            accuracy[strength] = sum(epoch["statistics"]["discriminator_accuracy"] for epoch in late) / len(late)
        assert accuracy[0.0] > 0.7, "nothing reversed: the discriminator reads the kind off the shared part"
        assert accuracy[20.0] < accuracy[0.0] - 0.1, "reversal removes what tells the draws apart"

    def test_other_forms_of_the_adversarial_part_change_the_model_and_go_with_it(self, planted):
        plain = predictions("MMASP", planted, adversarial_strength=5.0)[0]
        for only in ({"adversarial_genres": True}, {"adversarial_rise": 50}):
            assert not torch.equal(predictions("MMASP", planted, adversarial_strength=5.0, **only)[0], plain)
            off = {"adversarial_strength": 0.0, "orthogonality_weight": 0.0, **only}
            assert torch.equal(predictions("MMASP", planted, **off)[0], predictions("MMSP", planted)[0])

    def test_the_strength_rises(self, planted):
        session = open_session("MMASP", planted, adversarial_strength=2.0, adversarial_rise=10)
        model, batch = session.model, session.split.train.inter_feat
        strengths = [model._strength() for _ in range(13)]
        assert strengths[0] == 0 and strengths == sorted(strengths)
        # 2 / (1 + exp(-10 p)) - 1 at p = 1/2
        assert strengths[5] == pytest.approx(2.0 * (2 / (1 + math.exp(-5.0)) - 1))
        assert strengths[10] == strengths[12] == pytest.approx(2.0, abs=1e-3)
        model.calculate_loss(batch)
        assert int(model.state_dict()["step"]) == 14, "a checkpoint keeps how far it has risen"

    def test_without_one_of_the_two_draws_there_is_no_discriminator(self, planted):
        for tasks, terms in (
            (["rating", "ranking"], {"orthogonality"}),
            (["genre", "ranking"], {"orthogonality"}),
            (["ranking"], set()),
        ):
            session = open_session("MMASP", planted, tasks=tasks)
            assert session.model.discriminator is None
            losses = session.model.calculate_loss(session.split.train.inter_feat)
            assert set(losses) - {"rating", "implicit", "genre", "genre_linear", "ranking"} == terms


def test_a_discriminator_that_reads_genres_sees_each_genre_apart():
    """The two draws have the same s in the mean, but not within a genre."""
    genres = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).repeat(50, 1)
    s = torch.randn(100, 4, generator=torch.Generator().manual_seed(0))
    first, second = s.clone(), s.clone()
    first[:, 0], second[:, 0] = genres[:, 0] * 4 - 2, 2 - genres[:, 0] * 4

    def accuracy(genre_num: int) -> float:
        torch.manual_seed(0)
        discriminator = TaskDiscriminator(4, genre_num)
        optimizer = torch.optim.Adam(discriminator.parameters(), 0.05)
        given = genres if genre_num else None
        for _ in range(100):
            logits = discriminator(first, 0.0, given), discriminator(second, 0.0, given)
            optimizer.zero_grad()
            discriminator_loss(*logits).backward()
            optimizer.step()
        return float(discriminator_accuracy(*logits))

    assert accuracy(2) > 0.95
    assert accuracy(0) < 0.65


def test_discriminator_itself_learns_at_the_full_rate():
    shared = torch.randn(6, 4, requires_grad=True)
    gradients = []
    for strength in (1.0, 0.05):
        torch.manual_seed(0)
        discriminator = TaskDiscriminator(4)
        shared.grad = None
        discriminator(shared, strength)[:, 0].sum().backward()
        gradients.append((discriminator.output.weight.grad.clone(), shared.grad.clone()))
    assert torch.equal(gradients[0][0], gradients[1][0])
    torch.testing.assert_close(gradients[0][1] * 0.05, gradients[1][1])
