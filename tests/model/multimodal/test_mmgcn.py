from __future__ import annotations

import torch
from ranker_contract import RankerContract, open_ranker
from torch.nn import functional as F


class TestMMGCN(RankerContract):
    name = "MMGCN"
    expected_ndcg = (0.18, 0.215)
    of_the_band = {"epochs": 8, "learning_rate": 0.005, "train_batch_size": 2048}
    quick = {"epochs": 30, "train_batch_size": 128, "embedding_size": 16, "learning_rate": 0.003}

    def test_vectors_follow_the_equations(self, planted):
        model = open_ranker(self.name, planted).model.eval()
        users, rated = model.n_users, torch.from_numpy(model.rated.toarray()).float()
        adjacency = torch.zeros(users + model.n_items, users + model.n_items)
        adjacency[:users, users:], adjacency[users:, :users] = rated, rated.T
        means = adjacency / adjacency.sum(1, keepdim=True).clamp_min(1)
        with torch.no_grad():
            e = torch.cat([model.user.weight, model.item_embeddings()])
            of_modalities = []
            for m, field in enumerate(model.content.fields()):
                z = F.normalize(torch.cat([model.tastes[m], model.projection.maps[m](field)]), dim=1)
                for layer in range(3):
                    h = F.leaky_relu(means @ z @ model.messages[layer, m])
                    own = F.leaky_relu(z @ model.own[layer, m]) + e
                    z = F.leaky_relu(torch.cat([h, own], dim=1) @ model.combined[layer, m])
                of_modalities.append(z)
            expected = torch.stack(of_modalities).mean(0)
            torch.testing.assert_close(torch.cat(model.forward()), expected, rtol=1e-4, atol=1e-6)

    def test_the_penalty_reaches_identities_and_tastes(self, planted):
        session = open_ranker(self.name, planted, reg_weight=0.3)
        model, batch = session.model, next(iter(session.train_data))
        user, items = batch["user_id"], torch.cat([batch["item_id"], batch["neg_item_id"]])
        with torch.no_grad():
            expected = model.user.weight[user].square().sum() + model.tastes[:, user].square().sum()
            expected += model.item.weight[items].square().sum()
            difference = model.calculate_loss(batch) - model.bpr(batch, *model.forward())
            torch.testing.assert_close(difference, 0.3 * expected / len(user) / 2, rtol=1e-3, atol=1e-5)
