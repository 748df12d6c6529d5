"""What MMFS, MMSP and MMASP have in common: fused movies, users as averages of movies, a head for each task.

Shapes: N movies (``item_num``, [PAD] included), U users (``user_num``), B pairs, d = embedding_size,
m = length of the rating representation z, G genres.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from recbole.model.abstract_recommender import GeneralRecommender
from recbole.utils import InputType
from torch import Tensor, nn
from torch.nn import functional as F

from recbole_mm.data.dataset import MultimodalDataset
from recbole_mm.errors import InputError
from recbole_mm.model.layers import LinearGenres, ModalityFusion, MovieIdentity, RatingHead, Standardizer
from recbole_mm.model.losses import genre_loss, rating_loss
from recbole_mm.model.tasks.ranking import EASE, RankedMovies, RankingHead
from recbole_mm.model.users import UserHistories


@dataclass(frozen=True)
class MovieRepresentations:
    """Representations of the same movies for the tasks.

    Attributes:
        rating: z, [N, m]; also what user profiles are averaged from.
        genre: c, [N, m'].
        ranking: k, [N, m''].
        shared: s, [N, d].
        rating_private, genre_private: r and g, [N, d], where a model has them.
    """

    rating: Tensor
    genre: Tensor
    ranking: Tensor
    shared: Tensor
    rating_private: Tensor | None = None
    genre_private: Tensor | None = None


@dataclass(frozen=True)
class EncodedCatalogue:
    """What predictions need, computed once: movies, profiles P [U, m], ranked movies and queries Q [U, a]."""

    movies: MovieRepresentations
    profiles: Tensor
    ranked: RankedMovies | None
    queries: Tensor | None


class MultimodalMultitaskRecommender(GeneralRecommender):
    """Rating prediction, genre classification and ranking from one fused movie representation (docs/models.md).

    A subclass sets ``rating_size``, ``genre_size`` and ``ranking_movie_size`` in `build_encoders`, and says in
    `encode` how the fused input becomes the representations of the tasks.

    Args:
        config: options of the run; see properties/model/*.yaml for the model's own.
        dataset: the **training** part of a `MultimodalDataset`. Profiles, mean rating, rating scale and the
            standardisation of the vectors come from its rows and its movies only.

    Raises:
        InputError: no training rating reaches ``like_threshold``, or no movie with genres is left to train on.
    """

    input_type = InputType.POINTWISE
    predicts_ratings = True
    predicts_genres = True

    def __init__(self, config, dataset: MultimodalDataset) -> None:
        super().__init__(config, dataset)
        self.RATING = config["RATING_FIELD"]
        self.tasks = config["tasks"]
        self.ranks = "ranking" in self.tasks
        self.task_weights = {"rating": config["rating_weight"], "genre": config["genre_weight"]}
        self.genre_batch_size = config["genre_batch_size"]
        self._read_training_data(config, dataset)

        size = config["embedding_size"]
        dimensions = {name: values.shape[1] for name, values in self._catalogue("values").items()}
        self.fusion = ModalityFusion(dimensions, size, config["dropout_prob"], config["modality_dropout"])
        id_size = config["id_size"]
        self.identity = MovieIdentity(self.trained, id_size, config["id_dropout"]) if id_size else None
        self.build_encoders(self.fusion.output_size + id_size, size, config)
        self.empty_profile = nn.Parameter(torch.zeros(self.rating_size))
        self.disliked_profile = config["disliked_profile"]
        if self.disliked_profile:
            self.dislike = nn.Linear(self.rating_size, self.rating_size, bias=False)
            nn.init.zeros_(self.dislike.weight)  # the start is the profile of liked movies alone
        self.rating_head = RatingHead(self.rating_size, config["rating_hidden_size"], config["dropout_prob"])
        self.genre_head = nn.Linear(self.genre_size, self.genres.shape[1])
        self.rating_bias = config["rating_bias"]
        if self.rating_bias:
            # Zero at the start, so a user who is never trained keeps the bias 0.
            self.user_bias = nn.Parameter(torch.zeros(self.n_users))
        if self.ranks:
            self.ranking_batch_size = config["ranking_batch_size"]
            self.ranking_head = RankingHead(
                self.ranking_movie_size,
                config["ranking_size"],
                self.n_items,
                config["ranking_dropout"],
                config["ranking_gradient_scale"],
            )
        self.linear_genres = None
        if config["genre_linear"]:
            ranking_size = config["ranking_size"] if self.ranks else 0
            self.linear_genres = LinearGenres(sum(dimensions.values()), ranking_size, self.genres.shape[1])
            self.register_buffer(
                "side_by_side", _side_by_side(self._catalogue("values"), self._catalogue("present")), persistent=False
            )
        self._encoded: EncodedCatalogue | None = None
        self._statistics: dict[str, list[Tensor]] = {}

    # ------------------------------------------------------------------ what is read from the training part

    def _read_training_data(self, config, dataset: MultimodalDataset) -> None:
        users, items = (dataset.inter_feat[field].numpy() for field in (self.USER_ID, self.ITEM_ID))
        ratings = dataset.inter_feat[self.RATING].numpy()
        threshold = config["like_threshold"]
        if not (ratings >= threshold).any():
            raise InputError(
                f"{dataset.dataset_name}.inter: no training row has '{self.RATING}' >= {threshold}, so no user likes "
                f"any movie (largest rating: {ratings.max():g}); lower like_threshold"
            )
        if not len(dataset.genre_items.train):
            raise InputError(
                f"{dataset.dataset_name}.item: no movie with genres is left to train on; lower genre_test_ratio or "
                f"genre_valid_ratio"
            )
        liked = ratings >= threshold
        self.liked, self.disliked = (
            UserHistories(users[rows], items[rows], self.n_users, self.n_items) for rows in (liked, ~liked)
        )
        low, high = config["rating_scale"] or (ratings.min(), ratings.max())
        self.register_buffer("mean_rating", torch.tensor(float(ratings.mean())))
        self.register_buffer("rating_scale", torch.tensor([float(low), float(high)]))
        self.register_buffer("genres", dataset.genres, persistent=False)
        self.register_buffer("genre_train_items", dataset.genre_items.train, persistent=False)

        trained = torch.from_numpy(np.bincount(items, minlength=self.n_items) > 0)
        self.register_buffer("trained", trained, persistent=False)
        raters = np.flatnonzero(np.bincount(users, minlength=self.n_users) > 1)  # one row cannot be split in halves
        self.register_buffer("raters", torch.from_numpy(raters), persistent=False)
        self.ease_weight = config["ease_weight"] if self.ranks else 0
        if self.ease_weight:
            self.ease = EASE(users, items, self.n_users, self.n_items)
        self.modalities = list(dataset.modalities)
        self.standardizers = nn.ModuleDict()
        for name, modality in dataset.modalities.items():
            known = modality.values[modality.present & trained]
            standardizer = Standardizer(known, modality.values.shape[1], config["pca_components"])
            self.standardizers[f"field_{name}"] = standardizer
            self.register_buffer(f"values_{name}", standardizer(modality.values), persistent=False)
            self.register_buffer(f"present_{name}", modality.present, persistent=False)

    def set_present(self, name: str, present: Tensor) -> None:
        """Say which movies have a vector of a modality from now on, bool [N]; the others' count as missing."""
        setattr(self, f"present_{name}", present)
        self.vectors_changed()

    def vectors_changed(self) -> None:
        """Derive anew what follows from the vectors and from who has one."""
        if self.linear_genres is not None:
            self.side_by_side = _side_by_side(self._catalogue("values"), self._catalogue("present"))
        self._encoded = None

    def _catalogue(self, kind: str) -> dict[str, Tensor]:
        return {name: getattr(self, f"{kind}_{name}") for name in self.modalities}

    # ------------------------------------------------------------------ movies and users

    @abstractmethod
    def build_encoders(self, fused_size: int, size: int, config) -> None:
        """Create the encoders from the fused input [N, fused_size]; set the sizes of the representations."""

    @abstractmethod
    def encode(self, fused: Tensor) -> MovieRepresentations:
        """Representations of the movies for the tasks, from their fused input [N, fused_size]."""

    def encode_catalogue(self) -> MovieRepresentations:
        """Representations of all N movies of the dataset."""
        return self._encode_as(self._known())

    def _known(self) -> Tensor:
        """Movies that keep what was learned of them beside their content, bool [N]."""
        return self.trained if self.identity is None else self.identity.known()

    def _encode_as(self, known: Tensor) -> MovieRepresentations:
        more = () if self.identity is None else (self.identity(known),)
        return self.encode(self.fusion(self._catalogue("values"), self._catalogue("present"), more))

    def profiles(self, z: Tensor) -> Tensor:
        """P of every user, [U, m], from z of the catalogue [N, m].

        P(u) = mean of z over L(u), plus the mean of V z over D(u), the movies that u rated below the threshold.
        """
        profiles = self.liked.averages(z, self.empty_profile)
        if self.disliked_profile:
            profiles = profiles + self.disliked.averages(self.dislike(z))
        return profiles

    def leave_one_out_profiles(self, z: Tensor, targets: Tensor, users: Tensor, items: Tensor) -> Tensor:
        """P of each pair's user from all their training movies but the pair's own, [B, m]; ``targets`` is z[items]."""
        profiles = self.liked.leave_one_out(z, targets, users, items, self.empty_profile)
        if self.disliked_profile:
            disliked = self.dislike(z)
            targets = F.embedding(items, disliked)
            profiles = profiles + self.disliked.leave_one_out(disliked, targets, users, items)
        return profiles

    def _evaluation_state(self) -> EncodedCatalogue:
        """Movies and users, computed once and kept until the parameters can have changed."""
        if self._encoded is None or self.training:
            known = self._known()
            movies, ranked, queries = self._encode_as(known), None, None
            if self.ranks:
                ranked = self.ranking_head.movies(movies.ranking, self.trained, known)
                queries = self.ranking_head.queries_of_all(ranked, self.liked, self.disliked)
            self._encoded = EncodedCatalogue(movies, self.profiles(movies.rating), ranked, queries)
        return self._encoded

    def train(self, mode: bool = True):
        self._encoded = None
        return super().train(mode)

    def load_state_dict(self, *args, **kwargs):
        self._encoded = None
        return super().load_state_dict(*args, **kwargs)

    def _linear_genre_logits(self, items: Tensor, known: Tensor) -> Tensor:
        learned = F.embedding(items, self.ranking_head.learned(self.trained, known)) if self.ranks else None
        return self.linear_genres(self.side_by_side[items], learned)

    def _baseline(self, users: Tensor) -> Tensor:
        """mu + b_u, [B]; what a movie is worth comes from its representation, so a cold movie has it too."""
        if not self.rating_bias:
            return self.mean_rating.expand(len(users))
        return self.mean_rating + self.user_bias[users]

    # ------------------------------------------------------------------ training

    def calculate_loss(self, interaction) -> dict[str, Tensor]:
        """Weighted losses by name; their sum is what is minimised.

        The rating task draws movies through ratings, the genre task (with its linear path) uniformly from the
        catalogue; the ranking task draws users.

        Args:
            interaction: RecBole's batch of training rows with user, item and rating, each [B].
        """
        users, rated, rating = (interaction[field] for field in (self.USER_ID, self.ITEM_ID, self.RATING))
        draw = torch.randint(len(self.genre_train_items), (self.genre_batch_size,), device=users.device)
        drawn = self.genre_train_items[draw]
        known = self._known()
        movies = self._encode_as(known)

        targets = F.embedding(rated, movies.rating)  # [B, m]
        profiles = self.leave_one_out_profiles(movies.rating, targets, users, rated)  # [B, m]
        predicted = self._baseline(users) + self.rating_head(profiles, targets)
        logits = self.genre_head(F.embedding(drawn, movies.genre))
        losses = {
            "rating": self.task_weights["rating"] * rating_loss(predicted, rating),
            "genre": self.task_weights["genre"] * genre_loss(logits, self.genres[drawn]),
        }
        losses = {task: loss for task, loss in losses.items() if task in self.tasks}
        if self.linear_genres is not None and "genre" in self.tasks:
            loss = (
                genre_loss(self._linear_genre_logits(drawn, known), self.genres[drawn]) + self.linear_genres.penalty()
            )
            losses["genre_linear"] = self.task_weights["genre"] * loss
        if self.ranks and len(self.raters):
            sample = self.raters[torch.randint(len(self.raters), (self.ranking_batch_size,), device=users.device)]
            ranked = self.ranking_head.movies(movies.ranking, self.trained, known)
            losses["ranking"] = self.ranking_head.loss(ranked, self.liked.of(sample), self.disliked.of(sample))
        return {**losses, **self.extra_losses(movies, rated, drawn)}

    def extra_losses(self, movies: MovieRepresentations, rated: Tensor, drawn: Tensor) -> dict[str, Tensor]:
        """Losses beyond the two tasks; none here.

        Args:
            movies: representations of the catalogue.
            rated: movies of the rating task's batch (drawn by popularity), ids [B].
            drawn: movies of the genre task's batch (drawn uniformly), ids [genre_batch_size].
        """
        return {}

    def log_statistic(self, name: str, value: Tensor) -> None:
        """Keep a number of this batch that is no loss; the trainer logs its mean over the epoch."""
        self._statistics.setdefault(name, []).append(value.detach())

    def pop_statistics(self) -> dict[str, float]:
        """Means of the statistics logged since the last call."""
        means = {name: float(torch.stack(values).mean()) for name, values in self._statistics.items()}
        self._statistics.clear()
        return means

    # ------------------------------------------------------------------ prediction

    def predict_rating(self, interaction) -> Tensor:
        """Predicted rating of each pair, clipped to the rating scale, [B]."""
        return self._rating(interaction).clamp(*self.rating_scale.tolist())

    def _rating(self, interaction) -> Tensor:
        users, items = interaction[self.USER_ID], interaction[self.ITEM_ID]
        state = self._evaluation_state()
        return self._baseline(users) + self.rating_head(state.profiles[users], state.movies.rating[items])

    def predict(self, interaction) -> Tensor:
        """Ranking score of each pair, [B]: of the ranking task, or without it the unclipped predicted rating."""
        if not self.ranks:
            return self._rating(interaction)
        users, items = interaction[self.USER_ID], interaction[self.ITEM_ID]
        state = self._evaluation_state()
        scores = (state.queries[users] * state.ranked.candidate[items]).sum(dim=1) + state.ranked.popularity[items]
        if self.ease_weight:
            several, place = users.unique(return_inverse=True)
            scores = scores + self._linear_scores(several)[place, items]
        return scores

    def full_sort_predict(self, interaction) -> Tensor:
        """Ranking score of every movie for each user of the batch, [B·N], as one matrix computation."""
        users = interaction[self.USER_ID]
        state = self._evaluation_state()
        if self.ranks:
            scores = torch.addmm(state.ranked.popularity, state.queries[users], state.ranked.candidate.T)
            if self.ease_weight:
                scores += self._linear_scores(users)
            return scores.reshape(-1)
        scores = self.rating_head.score_catalogue(state.profiles[users], state.movies.rating)
        return (scores + self._baseline(users)[:, None]).reshape(-1)

    def _linear_scores(self, users: Tensor) -> Tensor:
        """Part of the ranking scores that comes straight from the training movies of these users, [R, N]."""
        return self.ease_weight * self.ease(self.liked.of(users), self.disliked.of(users))

    def predict_genres(self, items: Tensor) -> Tensor:
        """Probability of each genre, [B, G], of movies given by id [B]: by the linear path where the model has it.

        Then the head on c is there for what its gradient teaches the shared representation.
        """
        if self.linear_genres is not None:
            return torch.sigmoid(self._linear_genre_logits(items, self._known()))
        return torch.sigmoid(self.genre_head(self._evaluation_state().movies.genre[items]))


def _side_by_side(values: dict[str, Tensor], present: dict[str, Tensor]) -> Tensor:
    """Standardised vectors of all modalities, zeros where missing, [N, sum of dimensions]."""
    return torch.cat([values[name] * present[name][:, None] for name in values], dim=1)
