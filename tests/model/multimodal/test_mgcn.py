from __future__ import annotations

import torch
from ranker_contract import ItemGraphContract, open_ranker

from recbole_mm.model.losses import info_nce
from recbole_mm.model.multimodal.graphs import content_graphs, normalized_pairs


class TestMGCN(ItemGraphContract):
    name = "MGCN"
    expected_ndcg = (0.215, 0.25)
    of_the_band = {"epochs": 8, "learning_rate": 0.02}

    def test_the_side_view_of_each_user_and_movie_follows_the_equations(self, planted):
        model = open_ranker(self.name, planted, neighbours=4).model.eval()
        graphs = content_graphs(model.content, model.trained, 4)
        pairs = torch.from_numpy(normalized_pairs(model.rated).toarray()).float()
        with torch.no_grad():
            c, side = model.views()
            views = []
            for m, (field, graph) in enumerate(zip(model.content.fields(), graphs)):
                gate = model.gates[m](model.projection.maps[m](field)).sigmoid()
                of_items = torch.from_numpy(graph.toarray()) @ (model.item_embeddings() * gate)
                views.append(torch.cat([pairs @ of_items, of_items]))
            for node in range(1, model.n_users + model.n_items):
                has = [m for m in range(2) if has_modality(model, node, m)]
                if not has:
                    continue
                scores = torch.stack([model.attention(views[m][node]) for m in has])
                s = (scores.softmax(dim=0) * torch.stack([views[m][node] for m in has])).sum(0)
                special = sum(model.preferences[m](c[node]).sigmoid() * (views[m][node] - s) for m in has)
                torch.testing.assert_close(side[node], (s + special) / (len(has) + 1), rtol=1e-4, atol=1e-6)

    def test_the_contrast_of_a_batch_takes_each_user_and_movie_once(self, planted):
        session = open_ranker(self.name, planted, contrast_weight=0.7, reg_weight=0.0)
        model, batch = session.model, next(iter(session.train_data))
        with torch.no_grad():
            c, side = model.views()
            without = model.bpr(batch, *model.split(c + side))
            users, items = batch["user_id"].unique(), batch["item_id"].unique() + model.n_users
            contrast = info_nce(side[users], c[users], 0.2) + info_nce(side[items], c[items], 0.2)
            torch.testing.assert_close(model.calculate_loss(batch), without + 0.7 * contrast)


def has_modality(model, node: int, m: int) -> bool:
    """Whether a movie has a vector, or a movie of the user has."""
    present = model.content.present()[m].numpy()
    if node >= model.n_users:
        return bool(present[node - model.n_users])
    return bool(present[model.rated[node].indices].any())
