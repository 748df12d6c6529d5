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
from recbole_mm.model.tasks.ranking import EASE, RankedMovies
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
        expected_rmse: band of the RMSE on fold u1 of MovieLens-100K with the default options and seed.
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
        assert unchanged <= {"empty_profile"}

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
        assert part.best_epoch == 2, "the checkpoint is of the best epoch; on this data it must still be improving"
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
        held_out = {tokens[i] for part in ("valid", "test") for i in getattr(session.split.genre_items, part)}
        assert len(held_out) > 20
        genres = planted.item_columns["class:token_seq"]
        other = {"Action": "Comedy", "Comedy": "Drama", "Drama": "Action"}
        changed = [other[g] if t in held_out else g for t, g in zip(planted.tokens, genres)]
        planted.item_columns["class:token_seq"] = changed
        planted.write()
        for first, second in zip(before, predictions(self.name, planted)):
            assert torch.equal(first, second)

    def test_training_loss_uses_profiles_without_the_target(self, planted):
        session = open_session(self.name, planted, dropout_prob=0.0, modality_dropout=0.0, id_dropout=0.0)
        model, rows = session.model.train(), session.split.train.inter_feat
        users, items, ratings = (rows[name].numpy() for name in (model.USER_ID, model.ITEM_ID, "rating"))
        with torch.no_grad():
            model.dislike.weight.copy_(torch.randn_like(model.dislike.weight))
            z = model.encode_catalogue().rating
            profiles = []
            for user, item in zip(users, items):
                others = [(m, r) for u, m, r in zip(users, items, ratings) if u == user and m != item]
                liked, disliked = [m for m, r in others if r >= 4], [m for m, r in others if r < 4]
                profile = z[liked].mean(dim=0) if liked else model.empty_profile
                profiles.append(profile + model.dislike(z[disliked].mean(dim=0)) if disliked else profile)
            scores = model.rating_head(torch.stack(profiles), z[items]) + model.mean_rating
            expected = (scores - torch.from_numpy(ratings)).square().mean()
            assert float(model.calculate_loss(rows)["rating"]) == pytest.approx(float(expected), rel=1e-4)

    def test_like_threshold_is_inclusive(self, planted):
        model = open_session(self.name, planted, like_threshold=5.0).model
        ratings = planted.ratings["rating:float"]
        counts = [int(averages.counts.sum()) for averages in (model.liked, model.disliked)]
        assert 0.6 < counts[0] / (ratings == 5).sum() < 1 and 0.6 < counts[1] / (ratings < 5).sum() < 1
        assert sum(counts) == len(open_session(self.name, planted).split.train)

    def test_without_the_disliked_average_the_profile_is_the_mean_of_the_liked_movies(self, planted):
        model = open_session(self.name, planted, disliked_profile=False).model.eval()
        with torch.no_grad():
            z = model.encode_catalogue().rating
            expected = model.liked.averages(z, model.empty_profile)
            assert torch.equal(model.profiles(z), expected)
        assert not hasattr(model, "dislike")

    def test_vectors_are_standardised_by_training_movies_only(self, planted):
        before = open_session(self.name, planted, protocol="cold-item")
        tokens = before.split.test.field2id_token["item_id"]
        cold = {tokens[i] for part in ("valid", "test") for i in getattr(before.split.cold_items, part)}
        text = planted.text.copy()
        text[[t in cold for t in planted.tokens]] += 100.0
        write_vectors(planted.folder / "planted.text", "text", planted.tokens, text)
        after = open_session(self.name, planted, protocol="cold-item")
        assert after.model.values_text.max() > 50
        for statistic in ("mean", "scale"):
            first, second = (getattr(s.model.standardizers["field_text"], statistic) for s in (before, after))
            assert torch.equal(first, second)

    def test_a_movie_outside_the_data_is_encoded_as_one_inside_with_the_same_vectors(self, planted):
        session = open_session(self.name, planted)
        session.model.trained.zero_()  # none has a training rating: movies are their content
        session.model.identity.trained.zero_()
        model, modalities = session.model.eval(), session.split.train.modalities
        has_all = modalities["text"].present & modalities["audio"].present
        text_only = modalities["text"].present & ~modalities["audio"].present
        with torch.no_grad():
            inside = model.encode_catalogue()
            vectors = {name: modality.values[has_all] for name, modality in modalities.items()}
            new = with_movies(model, vectors).encode_catalogue()
            torch.testing.assert_close(new.rating[model.n_items :], inside.rating[has_all])
            torch.testing.assert_close(new.genre[model.n_items :], inside.genre[has_all])
            new = with_movies(model, {"text": modalities["text"].values[text_only]}).encode_catalogue()
            torch.testing.assert_close(new.rating[model.n_items :], inside.rating[text_only])
        for wrong in ({"smell": torch.zeros(1, 3)}, {"text": torch.zeros(1, 2)}):
            with pytest.raises(InputError, match="vectors: "):
                with_movies(model, wrong)

    def test_weights_of_the_tasks(self, planted):
        for task, option in (("rating", "rating_weight"), ("genre", "genre_weight")):
            losses = {}
            for weight in (1.0, 3.0, 0.0):
                session = open_session(self.name, planted, **{option: weight})
                torch.manual_seed(0)
                losses[weight] = session.model.calculate_loss(session.split.train.inter_feat)[task].item()
            assert losses[0.0] == 0.0
            assert losses[3.0] == pytest.approx(3 * losses[1.0], rel=1e-5)

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
        assert not model.trained[new] and model.liked.counts[nobody] == 0
        with torch.no_grad():
            disliked = model.disliked.averages(model.encode_catalogue().rating)[nobody]
            expected = model.empty_profile + model.dislike(disliked)
            torch.testing.assert_close(model.profiles(model.encode_catalogue().rating)[nobody], expected)
            for predict in (model.predict, model.predict_rating):
                scores = predict(all_pairs(model)).view(model.n_users, model.n_items)
                assert torch.isfinite(scores[nobody]).all() and torch.isfinite(scores[:, new]).all()

    def test_a_cold_movie_is_its_content_whatever_its_untrained_vectors_hold(self, planted):
        planted.item_columns = {name: [*column, column[-1]] for name, column in planted.item_columns.items()}
        planted.item_columns["item_id:token"][-1] = "brand new"
        planted.write()
        session = open_session(self.name, planted)
        model, new = session.model.eval(), session.split.train.field2token_id["item_id"]["brand new"]
        pairs = all_pairs(model)
        with torch.no_grad():
            model.linear_genres.weight.fill_(0.1)
            genres, movie = model.predict_genres(torch.tensor([new])), torch.tensor([1])
            before = model.predict(pairs), model.predict_rating(pairs)
            for vectors in (model.identity.vectors, model.ranking_head.residual):
                vectors[new] += 100.0
            model.train().eval()
            assert torch.equal(model.predict(pairs), before[0]) and torch.equal(model.predict_rating(pairs), before[1])
            assert torch.equal(model.predict_genres(torch.tensor([new])), genres)
            genres = model.predict_genres(movie)
            model.ranking_head.residual[movie] += 1.0
            assert not torch.equal(model.predict_genres(movie), genres)
            model.identity.vectors[1:new] += 100.0
            model.train().eval()
            assert not torch.equal(model.predict_rating(pairs), before[1])

    def test_ranking_profiles_hold_no_movie_that_is_to_be_predicted(self, planted):
        """With one-hot a(m) and c(m) a profile scores exactly its own movies, so no held-out movie may score."""
        session = open_session(self.name, planted, ranking_size=91)
        model = session.model.train()
        size = model.n_items
        ranked = RankedMovies(torch.eye(size), torch.eye(size), torch.zeros(size))
        scored = []
        model.ranking_head.queries = lambda liked, disliked, counts: scored.append(liked + disliked) or liked
        users = model.raters
        sets = model.liked.of(users), model.disliked.of(users)
        loss = model.ranking_head.loss(ranked, *sets)
        liked, disliked = (members.sums(torch.eye(size)) for members in sets)
        given, rated = scored[0], liked + disliked
        assert torch.isfinite(loss) and set(given.unique().tolist()) == {0.0, 1.0}
        assert ((given == 0) | (rated == 1)).all(), "profiles hold training movies only"
        assert 0.4 < given.sum() / rated.sum() < 0.6
        rows = session.split.train.inter_feat
        assert rated.sum() == len(set(zip(rows[model.USER_ID].tolist(), rows[model.ITEM_ID].tolist())))
        # log-likelihood of the held movies alone, among the movies not given
        held = rated * (1 - given)
        scores = torch.where(given > 0, -torch.inf, (liked * given).to(torch.float))
        likelihood = torch.where(held > 0, scores.log_softmax(dim=1), 0.0).sum(dim=1)
        assert float(loss) == pytest.approx(float(-(likelihood / held.sum(dim=1).sqrt()).mean()), rel=1e-5)

    def test_a_movie_loses_its_residual_as_a_candidate_only(self, planted):
        model = open_session(self.name, planted).model.train()
        representation = model.encode_catalogue().ranking
        lost = torch.zeros_like(model.trained)
        kept, without = (
            model.ranking_head.movies(representation, model.trained, known) for known in (model.trained, lost)
        )
        assert torch.equal(kept.rated, without.rated)
        assert not torch.isclose(kept.candidate, without.candidate)[model.trained].any(dim=1).all()
        cold = model.ranking_head.movies(representation, lost, lost)
        assert torch.equal(cold.candidate, without.candidate) and not torch.equal(cold.rated, without.rated)

    def test_item_weights_are_added_to_the_ranking_scores_and_to_nothing_else(self, planted):
        without = predictions(self.name, planted, ease_weight=0)
        found = predictions(self.name, planted, ease_weight=3.0)
        assert torch.equal(found[0], without[0]) and torch.equal(found[1], without[1])
        model = open_session(self.name, planted).model
        rated = sum(averages.members.to_dense() for averages in (model.liked, model.disliked))
        expected = 3 * (rated @ model.ease.weights).flatten()
        assert expected.abs().max() > 0.1
        torch.testing.assert_close(found[2], without[2] + expected, rtol=1e-5, atol=1e-5)
        assert not hasattr(open_session(self.name, planted, ease_weight=0).model, "ease")

    def test_item_weights_are_solved_from_training_rows_alone(self, planted):
        session = open_session(self.name, planted)
        model, rows = session.model, session.split.train.inter_feat
        users, items = (rows[field].numpy() for field in (model.USER_ID, model.ITEM_ID))
        expected = EASE(users, items, model.n_users, model.n_items).weights
        assert torch.equal(model.ease.weights, expected)
        more = session.split.test.inter_feat
        users, items = (np.append(rows[field], more[field]) for field in (model.USER_ID, model.ITEM_ID))
        assert not torch.equal(EASE(users, items, model.n_users, model.n_items).weights, expected)

    def test_item_weights_say_nothing_of_a_movie_without_training_ratings(self, planted):
        model = open_session(self.name, planted, protocol="cold-item").model
        cold = ~model.trained
        assert cold.sum() > 20 and (model.ease.weights[:, cold] == 0).all()
        assert (model.ease.weights[model.trained] != 0).any(dim=1).all()

    def test_genres_are_predicted_by_the_linear_path_which_teaches_no_other_task(self, planted):
        session = open_session(self.name, planted, tasks=["genre", "ranking"])
        model = session.model.train()
        model.linear_genres.weight.data.fill_(0.1)
        model.calculate_loss(session.split.train.inter_feat)["genre_linear"].backward()
        reached = {name for name, p in model.named_parameters() if p.grad is not None and (p.grad != 0).any()}
        assert reached == {"linear_genres.weight", "linear_genres.bias"}
        items = torch.arange(model.n_items)
        with torch.no_grad():
            before = model.eval().predict_genres(items)
            model.genre_head.bias += 5.0
            assert torch.equal(model.predict_genres(items), before)

        model = open_session(self.name, planted, genre_linear=False).model.eval()
        assert model.linear_genres is None
        with torch.no_grad():
            expected = torch.sigmoid(model.genre_head(model.encode_catalogue().genre))
            torch.testing.assert_close(model.predict_genres(items), expected)

    def test_without_the_ranking_task_the_predicted_rating_ranks(self, planted):
        model = open_session(self.name, planted, tasks=["rating", "genre"]).model.eval()
        assert not hasattr(model, "ranking_head")
        assert len(model.linear_genres.weight) == sum(values.shape[1] for values in model._catalogue("values").values())
        pairs = all_pairs(model)
        with torch.no_grad():
            assert torch.equal(model.predict(pairs).clamp(1, 5), model.predict_rating(pairs))

    def test_a_task_left_out_has_no_loss_and_reports_no_metric(self, planted):
        result = run(self.name, planted.name, config_dict=planted.options(tasks=["genre"], id_size=0), saved=False)
        assert "rating" not in result.history[0]["losses"] and "rmse" not in result.test
        assert "genre_map" in result.test

    def test_ranking_reaches_the_shared_movies_by_its_influence_only(self, planted):
        for influence, reached in ((0.0, False), (0.5, True)):
            session = open_session(
                self.name, planted, tasks=["ranking"], ranking_gradient_scale=influence, metrics=["NDCG"]
            )
            model = session.model.train()
            model.ranking_head.content.weight.data.fill_(1.0)
            model.calculate_loss(session.split.train.inter_feat)["ranking"].backward()
            gradient = model.fusion.projections["field_text"].grad
            assert (gradient is not None and bool((gradient != 0).any())) == reached
            assert (model.ranking_head.residual.grad != 0).any()

    def test_ratings_are_clipped_to_the_scale_only_when_predicted(self, planted):
        session = open_session(self.name, planted)
        model = session.model.eval()
        pairs = all_pairs(model)
        with torch.no_grad():
            model.user_bias += 10.0
            assert model.predict_rating(pairs).min() == 5.0
            model.user_bias -= 20.0
            model.train().eval()
            assert model.predict_rating(pairs).max() == 1.0

    # ------------------------------------------------------------------ real data

    @pytest.mark.slow
    def test_rmse_on_the_first_canonical_fold(self, ml_100k_mm):
        low, high = self.expected_rmse
        assert low <= run_on_first_fold(self.name, ml_100k_mm).test["rmse"] <= high
