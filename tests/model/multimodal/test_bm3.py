from __future__ import annotations

import torch
from ranker_contract import RankerContract, open_ranker
from torch.nn import functional as F


class TestBM3(RankerContract):
    name = "BM3"
    expected_ndcg = (0.165, 0.205)
    reads_content_when_ranking = False  # but for movies without training ratings
    quick = {"epochs": 40, "embedding_size": 32, "train_batch_size": 128, "learning_rate": 0.003}

    def test_the_loss_is_the_papers(self, planted):
        """Without dropout both views are the same and the loss of a batch is that of each pair, one by one."""
        session = open_ranker(self.name, planted, dropout_prob=0.0, content_weight=0.5, reg_weight=0.2)
        model, batch = session.model, next(iter(session.train_data))
        with torch.no_grad():
            loss = float(model.calculate_loss(batch))
            users, items = model.online()
            u, i, f = users[batch["user_id"]], items[batch["item_id"]], model.predictor

            def away(x, y):
                return 1 - F.cosine_similarity(f(x), y, dim=1)

            expected = (away(u, i) + away(i, u)).mean() + 0.2 * (u.norm() + i.norm()) / len(u)
            for field, linear in zip(model.content.fields(), model.projection.maps):
                x = field[batch["item_id"]]
                there = x[:, -2] == 1
                h = linear(x[there])
                expected += 0.5 * (away(h, i[there]) + away(h, h)).mean()
        torch.testing.assert_close(loss, float(expected), rtol=1e-5, atol=1e-6)

    def test_a_cold_movie_is_the_mean_of_its_content(self, planted):
        model = open_ranker(self.name, planted, protocol="cold-item", builtin_task="ranking").model.eval()
        cold = int((~model.trained[1:]).nonzero()[0]) + 1
        with torch.no_grad():
            h = [m(field[cold]) for m, field in zip(model.projection.maps, model.content.fields()) if field[cold, -2]]
            length = model.online()[1][model.trained].norm(dim=1).mean()
            expected = model.predictor(length * F.normalize(torch.stack(h).mean(0), dim=0))
            torch.testing.assert_close(model.forward()[1][cold], expected)
