"""What every multimodal ranker must do. A model's test class inherits `RankerContract` and names its model."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import write_atomic
from model_contract import all_pairs
from recbole.data.interaction import Interaction

from recbole_mm.config.config import Config
from recbole_mm.data.vectors import write_vectors
from recbole_mm.inference.load import load
from recbole_mm.training.session import Session, prepare_session, run


def ranker_options(planted, **changes) -> dict:
    """Options of a run of a ranker on the planted data; small and quick."""
    given = {"modalities": ["text", "audio"], "learning_rate": 0.01, "embedding_size": 8, "epochs": 3}
    return planted.data_options(**{**given, **changes})


def open_ranker(name: str, planted, **changes) -> Session:
    return prepare_session(Config(name, planted.name, config_dict=ranker_options(planted, **changes)))


@torch.no_grad()
def all_scores(model) -> torch.Tensor:
    """Score of every pair, [U, N]."""
    users = Interaction({model.USER_ID: torch.arange(model.n_users)})
    return model.eval().full_sort_predict(users).view(model.n_users, model.n_items).clone()


def trained_scores(name: str, planted, **changes) -> torch.Tensor:
    """Scores after training, [U, N]."""
    session = open_ranker(name, planted, **changes)
    session.trainer.fit(session.train_data, saved=False)
    return all_scores(session.model)


def rate_loved_alone(planted) -> None:
    """A user has rated the loved kind alone, so that who rated what says what a user loves."""
    planted.ratings = planted.ratings[planted.ratings["rating:float"] == 5].reset_index(drop=True)
    planted.write()


class RankerContract:
    """Inherited by the test class of each multimodal ranker.

    Attributes:
        name: the model.
        expected_ndcg: band of NDCG@10 on the validation part of ml-100k-mm under ``ranking``, seed 1, after the epochs
            and with the options of ``of_the_band``.
        quick: options with which the model learns the planted data in few epochs.
        untrained: parameters that a single epoch may leave as they are.
        reads_content_when_ranking: the vectors of movies with training ratings are read after training, too.
    """

    name: str
    expected_ndcg: tuple[float, float]
    of_the_band: dict = {"epochs": 8, "learning_rate": 0.005}
    quick: dict = {"epochs": 30}
    untrained: frozenset[str] = frozenset()
    reads_content_when_ranking: bool = True

    def test_an_epoch_changes_every_parameter(self, planted):
        session = open_ranker(self.name, planted)
        before = {name: p.detach().clone() for name, p in session.model.named_parameters()}
        session.trainer.epochs = 1
        session.trainer.fit(session.train_data, saved=False)
        assert all(math.isfinite(value) for value in session.trainer.history[0]["losses"].values())
        after = dict(session.model.named_parameters())
        assert {name for name, p in before.items() if torch.equal(p, after[name])} <= self.untrained

    def test_scores_of_all_movies_are_those_of_pairs(self, planted):
        model = open_ranker(self.name, planted).model
        with torch.no_grad():
            pairs = model.eval().predict(all_pairs(model)).view(model.n_users, -1)
        torch.testing.assert_close(all_scores(model), pairs, rtol=1e-4, atol=1e-5)

    def test_saved_and_loaded_model_predicts_the_same(self, planted):
        result = run(self.name, planted.name, config_dict=ranker_options(planted))
        first, second = (all_scores(load(result.checkpoint).model) for _ in range(2))
        assert torch.equal(first, second)
        again = run(self.name, planted.name, arguments=[f"--evaluate={result.checkpoint}"])
        assert again.test == result.test and again.valid == result.valid

    def test_scores_follow_the_weights(self, planted):
        """Vectors that were computed for an evaluation are not those of the next."""
        model = open_ranker(self.name, planted).model
        before = all_scores(model)
        with torch.no_grad():
            for weight in model.parameters():
                weight += 0.1 * torch.randn_like(weight)
        assert not torch.allclose(all_scores(model), before)

    def test_same_seed_same_numbers_other_seed_others(self, planted):
        first = trained_scores(self.name, planted)
        assert torch.equal(trained_scores(self.name, planted), first)
        assert not torch.equal(trained_scores(self.name, planted, seed=1), first)

    def test_resumed_run_equals_an_uninterrupted_one(self, planted):
        options = ranker_options(planted, stopping_step=100)
        whole = run(self.name, planted.name, config_dict={**options, "epochs": 5})
        part = run(self.name, planted.name, config_dict={**options, "epochs": 3})
        resumed = run(self.name, planted.name, arguments=[f"--resume={part.checkpoint}", "--epochs=5"])
        losses = {epoch["epoch"]: epoch["losses"]["loss"] for epoch in whole.history}
        for epoch in resumed.history:  # the checkpoint is of the best epoch, which may be before the last
            assert epoch["losses"]["loss"] == pytest.approx(losses[epoch["epoch"]], rel=1e-5)
        assert resumed.history

    # ------------------------------------------------------------------ planted truth

    def test_finds_the_planted_truth(self, planted):
        rate_loved_alone(planted)
        test = run(self.name, planted.name, config_dict=ranker_options(planted, **self.quick)).test
        # Of the 90 movies 20 are of the loved kind and unseen, and one is tested: a random order of these has 0.5.
        assert test["hit@10"] > 0.35 and test["hit@10"] > 2 * 10 / 82

    def test_content_ranks_movies_nobody_rated(self, planted):
        rate_loved_alone(planted)
        given = ranker_options(planted, protocol="cold-item", builtin_task="ranking", **self.quick)
        true, shuffled = (
            run(self.name, planted.name, config_dict={**given, "modality_corruption": control}).test
            for control in ("none", "shuffled")
        )
        assert true["ndcg@10"] > 0.55 and true["ndcg@10"] > shuffled["ndcg@10"] + 0.15

    # ------------------------------------------------------------------ leakage

    def test_test_rows_change_no_score(self, planted):
        fold = {"split_by": "file_fold", "test_fold": 5, "protocol": "ranking"}
        before = trained_scores(self.name, planted, **fold)
        first_of_the_test = 4 * len(planted.ratings) // 5
        give_other_movies(planted, range(first_of_the_test, len(planted.ratings)))
        assert torch.equal(trained_scores(self.name, planted, **fold), before)
        give_other_movies(planted, range(first_of_the_test // 2, first_of_the_test))
        after = trained_scores(self.name, planted, **fold)
        assert after.shape == before.shape and not torch.allclose(after, before, rtol=1e-2)

    def test_movies_that_nobody_rated_keep_their_untrained_embeddings_to_themselves(self, planted):
        session = open_ranker(self.name, planted, protocol="cold-item", builtin_task="ranking")
        model = session.model
        cold = ~model.trained
        before, scores = model.item.weight.detach().clone(), all_scores(model)
        with torch.no_grad():
            model.item.weight[cold] += 1.0
        assert int(cold.sum()) > 20 and torch.equal(all_scores(model), scores)
        session.trainer.fit(session.train_data, saved=False)
        torch.testing.assert_close(model.item.weight[cold], before[cold] + 1.0)

    # ------------------------------------------------------------------ thin data

    @pytest.mark.parametrize("with_audio", [3, 0])
    def test_missing_vectors_are_trained_through(self, planted, with_audio):
        few = planted.tokens[: max(with_audio, 1)]
        write_vectors(planted.folder / "planted.audio", "audio", few, planted.text[: len(few)])
        gone = {} if with_audio else {"modality_corruption": "absent"}
        assert trained_scores(self.name, planted, **gone).isfinite().all()

    def test_vectors_that_are_taken_away_after_training(self, planted):
        """The model without vectors is that of data without them, with the weights of the first."""
        session = open_ranker(self.name, planted)
        session.trainer.fit(session.train_data, saved=False)
        model = session.model.eval()
        before, present = all_scores(model), dict(zip(model.content.widths, model.content.present()))
        torch.testing.assert_close(all_scores(model.with_presence(present)), before)
        gone = {"text": present["text"] & (torch.arange(model.n_items) % 2 == 0)}
        without = model.with_presence(gone)
        assert not torch.allclose(all_scores(without), before) or not self.reads_content_when_ranking
        assert torch.equal(without.content.present()[0], gone["text"])
        assert torch.equal(without.content.present()[1], present["audio"])
        assert torch.equal(all_scores(model), before), "the first model is as it was"

    def test_cold_movies_and_users_without_training_rows(self, planted):
        planted.item_columns = {name: [*column, column[-1]] for name, column in planted.item_columns.items()}
        planted.item_columns["item_id:token"][-1] = "brand new"
        only_in_test = {"user_id:token": "stranger", "item_id:token": "m5", "rating:float": 5.0, "timestamp:float": 0}
        planted.ratings = pd.concat([planted.ratings, pd.DataFrame([only_in_test])], ignore_index=True)
        planted.write()
        session = open_ranker(self.name, planted, split_by="file_fold", test_fold=5, protocol="ranking")
        session.trainer.fit(session.train_data, saved=False)
        ids, scores = session.split.train.field2token_id, all_scores(session.model)
        assert not session.model.trained[ids["item_id"]["brand new"]]
        assert not (session.split.train.inter_feat["user_id"] == ids["user_id"]["stranger"]).any()
        assert scores.isfinite().all()

    # ------------------------------------------------------------------ real data

    @pytest.mark.slow
    def test_ndcg_of_movielens_after_a_few_epochs(self, ml_100k_mm):
        given = {"data_path": str(ml_100k_mm), "show_progress": False, "gpu_id": "", "seed": 1, **self.of_the_band}
        low, high = self.expected_ndcg
        assert low <= run(self.name, "ml-100k-mm", config_dict=given, saved=False).valid["ndcg@10"] <= high


def give_other_movies(planted, rows) -> None:
    """Each of the rows gets a movie that its user has rated nowhere; ids follow the first appearance and stay."""
    table, random = planted.ratings, np.random.default_rng(3)
    rated = table.groupby("user_id:token")["item_id:token"].agg(set).to_dict()
    for row in rows:
        user = table.loc[row, "user_id:token"]
        movie = random.choice(sorted(set(planted.tokens) - rated[user]))
        rated[user].add(movie)
        table.loc[row, "item_id:token"] = movie
    planted.write()


class ItemGraphData:
    """Movies in 12 groups that their vectors alone tell; each movie is rated by one user in training.

    A user has rated four movies of one group, which nobody else has, and is tested on a movie that another user of the
    group has rated. The training pairs are stars without a common point, so they say nothing of the test. The graph of
    the movies says everything.
    """

    groups, users_each, rows_each = 12, 5, 4

    def __init__(self, folder: Path) -> None:
        self.name, self.folder = "itemgraph", folder / "itemgraph"
        random = np.random.default_rng(5)
        train, test = [], []
        for group in range(self.groups):
            movies = random.permutation(self.users_each * self.rows_each)
            of_users = movies.reshape(self.users_each, self.rows_each)
            for user, own in enumerate(of_users):
                train += [(f"u{group}_{user}", f"m{group}_{movie}") for movie in own]
                other = of_users[(user + 1) % self.users_each][0]
                test.append((f"u{group}_{user}", f"m{group}_{other}"))
        rows = [train[i] for i in random.permutation(len(train))] + test
        users, items = zip(*rows)
        columns = {
            "user_id:token": users,
            "item_id:token": items,
            "rating:float": 5.0,
            "timestamp:float": range(len(rows)),
        }
        write_atomic(self.folder / "itemgraph.inter", columns)
        tokens = sorted(set(items))
        write_atomic(self.folder / "itemgraph.item", {"item_id:token": tokens, "movie_title:token_seq": tokens})
        group = np.array([int(token[1:].split("_")[0]) for token in tokens])
        vectors = np.eye(self.groups)[group] + random.normal(0, 0.1, (len(tokens), self.groups))
        with_text, with_audio = np.arange(len(tokens)) % 4 != 0, np.arange(len(tokens)) % 4 != 1
        for field, has in (("text", with_text), ("audio", with_audio)):
            write_vectors(self.folder / f"itemgraph.{field}", field, list(np.array(tokens)[has]), vectors[has])

    def options(self, **changes) -> dict:
        return {
            "data_path": str(self.folder.parent),
            "split_by": "file_fold",
            "test_fold": 5,
            "modalities": ["text", "audio"],
            "show_progress": False,
            "gpu_id": "",
            "embedding_size": 32,
            "learning_rate": 0.02,
            "train_batch_size": 64,
            "epochs": 60,
            "stopping_step": 60,
            **changes,
        }


def hit_on_item_graph(name: str, data: ItemGraphData, **changes) -> float:
    """Hit@10 of the test movie among 236: 0.04 in a random order, 0.6 in a random order of the group."""
    return run(name, data.name, config_dict=data.options(**changes), saved=False).test["hit@10"]


class ItemGraphContract(RankerContract):
    """Inherited by the test class of each model that propagates on a graph of movies."""

    def test_the_graph_of_movies_finds_what_the_pairs_cannot(self, item_graph):
        assert hit_on_item_graph(self.name, item_graph) > 0.4
        assert hit_on_item_graph(self.name, item_graph, modality_corruption="shuffled") < 0.15
