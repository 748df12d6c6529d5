from __future__ import annotations

import numpy as np
import torch
from ranker_contract import ItemGraphContract, hit_on_item_graph, open_ranker


class TestFREEDOM(ItemGraphContract):
    name = "FREEDOM"
    expected_ndcg = (0.19, 0.22)

    def test_each_epoch_keeps_other_pairs_and_evaluation_all(self, planted):
        model = open_ranker(self.name, planted, edge_dropout=0.75).model
        pairs = model.rated.nnz
        kept = []
        for _ in range(2):
            model.train()
            assert len(model.kept.rows_places) == 2 * round(pairs / 4)
            kept.append(set(zip(*model_pairs(model))))
        assert kept[0] != kept[1]
        assert all(model.rated[user, movie] for user, movie in kept[0] | kept[1])
        model.eval()
        with torch.no_grad():
            users, items = model.forward()
            of_all, plus = model.convolved(model.graph, model.n_layers)
            torch.testing.assert_close(users, of_all)
            torch.testing.assert_close(items, plus + model.item_graph(model.item_embeddings()))

    def test_pairs_of_popular_movies_and_busy_users_are_dropped_more_often(self, planted):
        torch.manual_seed(0)
        planted.ratings = planted.ratings[planted.ratings.index % 3 != 0]
        crowd = planted.ratings["item_id:token"].isin(["m0", "m3", "m6"])
        planted.ratings = planted.ratings[crowd | (planted.ratings.index % 2 == 0)].reset_index(drop=True)
        planted.write()
        model = open_ranker(self.name, planted, edge_dropout=0.8).model
        counts = np.zeros(model.rated.shape)
        for _ in range(100):
            model.train()
            users, movies = model_pairs(model)
            counts[users, movies] += 1
        rated = model.rated.toarray() > 0
        degrees = np.sqrt(np.outer(rated.sum(1), rated.sum(0)))[rated]
        assert np.corrcoef(degrees, counts[rated])[0, 1] < -0.1


def model_pairs(model) -> tuple[np.ndarray, np.ndarray]:
    """Users and movies of the pairs that the epoch keeps."""
    starts, places = model.kept.rows_starts.numpy(), model.kept.rows_places.numpy()
    of_users = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    users = of_users < model.n_users
    return of_users[users], places[users] - model.n_users


def test_pairs_alone_do_not_find_what_the_graph_of_movies_finds(item_graph):
    """The other half of `ItemGraphContract`: a model of the pairs is at the level of a random order."""
    assert hit_on_item_graph("LightGCN", item_graph) < 0.15
