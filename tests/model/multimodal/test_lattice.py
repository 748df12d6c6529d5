from __future__ import annotations

import torch
from ranker_contract import ItemGraphContract, open_ranker
from torch.nn import functional as F


class TestLATTICE(ItemGraphContract):
    name = "LATTICE"
    expected_ndcg = (0.185, 0.215)

    def test_vectors_follow_the_equations(self, planted):
        model = open_ranker(self.name, planted, frozen_weight=0.7, neighbours=4).model.eval()
        with torch.no_grad():
            torch.nn.init.normal_(model.modality_logits)
            torch.nn.init.normal_(model.item.weight)
            items = model.forward()[1]
            projected, present = model.projection(model.content), model.content.present()
            e, movies = model.item_embeddings(), model.n_items
            rows = torch.zeros(movies, model.size)
            total = (model.modality_logits.exp()[:, None] * present).sum(0).clamp_min(1e-12)
            for m, field in enumerate(model.content.fields()):
                graph = 0.7 * dense(field[:, :-2], present[m], model.trained, 4)
                graph += 0.3 * dense(projected[m], present[m], model.trained, 4)
                rows += (model.modality_logits[m].exp() * present[m] / total)[:, None] * (graph @ e)
            expected = model.convolved(model.graph, model.n_layers)[1] + F.normalize(rows, dim=1)
        torch.testing.assert_close(items, expected, rtol=1e-4, atol=1e-5)

    def test_the_graph_is_learned_in_the_first_step_of_an_epoch_alone(self, planted):
        session = open_ranker(self.name, planted)
        model, batch = session.model, next(iter(session.train_data))
        for _ in range(2):
            model.train()
            gradients, graphs = [], []
            for _ in range(2):
                model.zero_grad()
                model.calculate_loss(batch).backward()
                gradients.append([linear.weight.grad for linear in model.projection.maps])
                graphs.append(model.item_graph)
            assert all(gradient.abs().sum() > 0 for gradient in gradients[0])
            assert all(gradient is None for gradient in gradients[1])
            assert graphs[0] is graphs[1]
            assert model.modality_logits.grad.abs().sum() > 0


def dense(vectors, present, trained, k: int) -> torch.Tensor:
    """The graph of the k nearest movies, movie by movie, [N, N]."""
    graph = torch.zeros(len(vectors), len(vectors))
    for i in present.nonzero().flatten().tolist():
        others = [j for j in (present & trained).nonzero().flatten().tolist() if j != i]
        cosines = torch.stack([F.cosine_similarity(vectors[i], vectors[j], dim=0) for j in others])
        for place in cosines.argsort(descending=True)[:k].tolist():
            graph[i, others[place]] = cosines[place].clamp_min(0)
    degrees = graph.sum(1)
    scale = torch.where(degrees > 0, degrees, 1.0).rsqrt()
    return scale[:, None] * graph * scale
