"""What every model of this package must do. A model's test class inherits `ModelContract` and names its model."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from recbole.data.interaction import Interaction

from recbole_mm.config.config import Config
from recbole_mm.data.vectors import write_vectors
from recbole_mm.errors import InputError
from recbole_mm.inference.load import load
from recbole_mm.model.variants import with_movies
from recbole_mm.training.result import Result
from recbole_mm.training.session import Session, prepare_session, run


def open_session(name: str, planted, **options) -> Session:
    return prepare_session(Config(name, planted.name, config_dict=planted.options(**options)))


def all_pairs(model) -> Interaction:
    """Every (user, movie) pair of the id spaces."""
    users = torch.arange(model.n_users).repeat_interleave(model.n_items)
    items = torch.arange(model.n_items).repeat(model.n_users)
    return Interaction({model.USER_ID: users, model.ITEM_ID: items})


def assert_same_losses(first, second) -> None:
    """Two sessions on the same data have the same losses on their first batch, as far as both have them."""
    losses = []
    batch = next(iter(first.train_data))
    for session in (first, second):
        torch.manual_seed(0)
        losses.append(session.model.train().calculate_loss(batch))
    shared = losses[0].keys() & losses[1].keys()
    assert shared and all(torch.equal(losses[0][name], losses[1][name]) for name in shared)


def predictions(name: str, planted, **options) -> tuple[torch.Tensor, ...]:
    """Ratings [U·N], genre probabilities [N, G] and ranking scores [U·N] of a trained model."""
    session = open_session(name, planted, **options)
    session.trainer.fit(session.train_data, saved=False)
    model = session.model.eval()
    with torch.no_grad():
        pairs = all_pairs(model)
        return model.predict_rating(pairs), model.predict_genres(torch.arange(model.n_items)), model.predict(pairs)


def run_on_first_fold(name: str, folder: Path) -> Result:
    """A run with the default options on fold u1 of the ml-100k-mm that lies in ``folder``."""
    options = {"protocol": "u1", "data_path": str(folder), "show_progress": False, "gpu_id": ""}
    return run(name, "ml-100k-mm", config_dict=options)


class ModelContract:
    """Inherited by the test class of each model.

    Attributes:
        name: the model.
        expected_rmse: narrow band of the RMSE on fold u1 of MovieLens-100K with the default options and seed.
    """

    name: str
    expected_rmse: tuple[float, float]

    def test_a_step_changes_every_trained_parameter(self, planted):
        session = open_session(self.name, planted)
        before = {name: p.detach().clone() for name, p in session.model.named_parameters()}
        session.trainer.epochs = 1
        session.trainer.fit(session.train_data, saved=False)
        losses = session.trainer.history[0]["losses"]
        assert {"rating", "genre"} <= set(losses) and all(math.isfinite(value) for value in losses.values())
        # A parameter that no loss reaches is dead weight. Every user here has likes, so only the profile of users
        # without any may stay as it is.
        unchanged = {n for n, p in session.model.named_parameters() if torch.equal(p, before[n])}
        assert unchanged <= {"tasks.rating.profiles.empty"}

    def test_full_sort_equals_prediction_of_every_pair(self, planted):
        session = open_session(self.name, planted)
        session.trainer.fit(session.train_data, saved=False)
        model = session.model.eval()
        with torch.no_grad():
            users = Interaction({model.USER_ID: torch.arange(model.n_users)})
            torch.testing.assert_close(
                model.full_sort_predict(users), model.predict(all_pairs(model)), rtol=1e-5, atol=1e-5
            )

    def test_saved_and_loaded_model_predicts_the_same(self, planted):
        result = run(self.name, planted.name, config_dict=planted.options())
        loaded = load(result.checkpoint).model
        again = run(self.name, planted.name, arguments=[f"--evaluate={result.checkpoint}"])
        assert again.test == result.test and again.valid == result.valid
        with torch.no_grad():
            first = loaded.predict(all_pairs(loaded))
            assert torch.equal(first, load(result.checkpoint).model.predict(all_pairs(loaded)))

    def test_same_seed_same_numbers_other_seed_others(self, planted):
        first = run(self.name, planted.name, config_dict=planted.options(), saved=False)
        assert run(self.name, planted.name, config_dict=planted.options(), saved=False).test == first.test
        assert run(self.name, planted.name, config_dict=planted.options(seed=1), saved=False).test != first.test

    def test_resumed_run_equals_an_uninterrupted_one(self, planted):
        options = planted.options(stopping_step=100)
        whole = run(self.name, planted.name, config_dict={**options, "epochs": 6})
        part = run(self.name, planted.name, config_dict={**options, "epochs": 3})
        assert part.best_epoch == 3, "the checkpoint is of the best epoch; on this data it must still be improving"
        resumed = run(self.name, planted.name, arguments=[f"--resume={part.checkpoint}", "--epochs=6"])
        assert resumed.epochs == 3
        assert resumed.history[-1]["losses"] == pytest.approx(whole.history[-1]["losses"], rel=1e-6)
        assert resumed.test == pytest.approx(whole.test, abs=2e-4)

    # ------------------------------------------------------------------ planted truth

    def test_finds_the_planted_truth(self, planted):
        result = run(self.name, planted.name, config_dict=planted.options(epochs=60, stopping_step=60), saved=False)
        # Ratings are 5 inside the loved kind and 1 or 2 outside: the best RMSE is about 0.41, the mean's 1.7.
        assert result.test["rmse"] < 0.65
        assert result.test["genre_map"] > 0.97
        assert result.test["genre_micro_f1"] > 0.9

    def test_finds_it_for_movies_nobody_rated(self, planted):
        options = planted.options(epochs=60, stopping_step=60, protocol="cold-item")
        result = run(self.name, planted.name, config_dict=options, saved=False)
        assert result.test["rmse"] < 0.75
        assert result.test["genre_map"] > 0.97
        # A third of the cold movies is of the loved kind, so a random order has precision 1/3 at best.
        assert result.test["ndcg@10"] > 0.3

    def test_shuffled_vectors_lose_it_for_movies_nobody_rated(self, planted):
        order = np.random.default_rng(0).permutation(len(planted.tokens))
        for field in ("text", "audio"):
            write_vectors(planted.folder / f"planted.{field}", field, planted.tokens, planted.text[order])
        options = planted.options(epochs=60, stopping_step=60, protocol="cold-item")
        test = run(self.name, planted.name, config_dict=options, saved=False).test
        assert test["rmse"] > 1.2
        assert test["genre_map"] < 0.65

    # ------------------------------------------------------------------ leakage

    def test_test_ratings_change_no_prediction(self, planted):
        options = {"protocol": "u2"}
        before = predictions(self.name, planted, **options)
        rows = planted.ratings.index[len(planted.ratings) // 5 : 2 * len(planted.ratings) // 5]
        planted.ratings.loc[rows, "rating:float"] = 6.0 - planted.ratings.loc[rows, "rating:float"]
        planted.write()
        for first, second in zip(before, predictions(self.name, planted, **options)):
            assert torch.equal(first, second)

    def test_training_ratings_do_change_predictions(self, planted):
        before = predictions(self.name, planted, protocol="u2")
        rows = planted.ratings.index[: len(planted.ratings) // 5]
        planted.ratings.loc[rows, "rating:float"] = 6.0 - planted.ratings.loc[rows, "rating:float"]
        planted.write()
        for first, second in zip(before, predictions(self.name, planted, protocol="u2")):
            assert not torch.equal(first, second)

    def test_held_out_genres_change_no_prediction(self, planted):
        before = predictions(self.name, planted)
        session = open_session(self.name, planted)
        tokens = session.split.test.field2id_token["item_id"]
        held_out = {tokens[i] for part in ("valid", "test") for i in getattr(session.split.label_items["genre"], part)}
        assert len(held_out) > 20
        genres = planted.item_columns["class:token_seq"]
        other = {"Action": "Comedy", "Comedy": "Drama", "Drama": "Action"}
        changed = [other[g] if t in held_out else g for t, g in zip(planted.tokens, genres)]
        planted.item_columns["class:token_seq"] = changed
        planted.write()
        for first, second in zip(before, predictions(self.name, planted)):
            assert torch.equal(first, second)

    def test_a_movie_outside_the_data_is_encoded_as_one_inside_with_the_same_vectors(self, planted):
        session = open_session(self.name, planted)
        session.model.catalogue.has_ratings.zero_()  # none has a training rating: movies are their content
        model, modalities = session.model.eval(), session.split.train.modalities
        has_all = modalities["text"].present & modalities["audio"].present
        text_only = modalities["text"].present & ~modalities["audio"].present
        with torch.no_grad():
            inside = model.encoded().movies
            vectors = {name: modality.values[has_all] for name, modality in modalities.items()}
            new = with_movies(model, vectors).encoded().movies
            torch.testing.assert_close(new.of_task["rating"][model.n_items :], inside.of_task["rating"][has_all])
            torch.testing.assert_close(new.of_task["genre"][model.n_items :], inside.of_task["genre"][has_all])
            new = with_movies(model, {"text": modalities["text"].values[text_only]}).encoded().movies
            torch.testing.assert_close(new.of_task["rating"][model.n_items :], inside.of_task["rating"][text_only])
        for wrong in ({"smell": torch.zeros(1, 3)}, {"text": torch.zeros(1, 2)}):
            with pytest.raises(InputError, match="vectors: "):
                with_movies(model, wrong)

    # ------------------------------------------------------------------ thin data

    def test_missing_modalities_are_predicted_and_trained_through(self, planted):
        few = planted.tokens[:3]
        write_vectors(planted.folder / "planted.audio", "audio", few, planted.text[:3])
        assert all(torch.isfinite(predicted).all() for predicted in predictions(self.name, planted))

    def test_cold_movies_and_users_without_likes(self, planted):
        of_u0 = planted.ratings["user_id:token"] == "u0"
        planted.ratings.loc[of_u0, "rating:float"] = 1.0
        planted.item_columns = {name: [*column, column[-1]] for name, column in planted.item_columns.items()}
        planted.item_columns["item_id:token"][-1] = "brand new"
        planted.write()
        session = open_session(self.name, planted)
        session.trainer.fit(session.train_data, saved=False)
        model, ids = session.model.eval(), session.split.train.field2token_id
        assert "brand new" in ids["item_id"]
        new, nobody = ids["item_id"]["brand new"], ids["user_id"]["u0"]
        assert not model.catalogue.has_ratings[new] and model.users.liked.counts[nobody] == 0
        with torch.no_grad():
            disliked = model.users.disliked.averages(model.encoded().movies.of_task["rating"])[nobody]
            expected = model.tasks["rating"].profiles.empty + model.tasks["rating"].profiles.dislike(disliked)
            torch.testing.assert_close(model.user_embeddings()[nobody], expected)
            for predict in (model.predict, model.predict_rating):
                scores = predict(all_pairs(model)).view(model.n_users, model.n_items)
                assert torch.isfinite(scores[nobody]).all() and torch.isfinite(scores[:, new]).all()

    # ------------------------------------------------------------------ real data

    @pytest.mark.slow
    def test_rmse_on_the_first_canonical_fold(self, ml_100k_mm):
        low, high = self.expected_rmse
        assert low <= run_on_first_fold(self.name, ml_100k_mm).test["rmse"] <= high
