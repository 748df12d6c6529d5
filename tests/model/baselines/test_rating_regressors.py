"""Built-in models as rating regressors: mu + raw score, squared error, nothing read from rows outside training."""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Iterator
from itertools import islice

import pytest
import torch
from recbole.data import create_dataset
from recbole.data.utils import get_dataloader
from recbole.utils import get_model as get_recbole_model
from recbole.utils import init_seed
from torch import nn

from recbole_mm.config.config import Config
from recbole_mm.data.splits import build_split
from recbole_mm.errors import InputError
from recbole_mm.model.baselines.rating_regressors import RATING_FORMS

COLUMNS = {
    "inter": ["user_id", "item_id", "rating", "timestamp"],
    "item": ["item_id", "movie_title", "release_year", "class"],
}


def options_of(planted, **changes) -> dict:
    return {
        "data_path": str(planted.folder.parent),
        "load_col": COLUMNS,
        "builtin_task": "rating",
        "gpu_id": "",
        "train_batch_size": 256,
        "learning_rate": 0.005,
        **changes,
    }


def build(name: str, planted, **changes):
    """Config, split and model on the planted data, without the models' own penalties."""
    config = Config(name, "planted", config_dict=options_of(planted, **changes))
    if "reg_weight" in config:
        config["reg_weight"] = 0.0
    init_seed(1, True)
    split = build_split(create_dataset(config), config)
    return config, split, config.model_class(config, split.train).eval()


@torch.no_grad()
def rmse(model, part) -> float:
    error = model.predict_rating(part[:]) - part.inter_feat["rating"]
    return float((error**2).mean().sqrt())


def epochs_of(config, model, part) -> Iterator[None]:
    """Train without end; one step of the iterator is one epoch."""
    optimiser = torch.optim.Adam(model.parameters(), lr=config["learning_rate"], weight_decay=config["weight_decay"])
    loader = get_dataloader(config, "train")(config, part, None, shuffle=True)
    while True:
        model.train()
        for batch in loader:
            optimiser.zero_grad()
            model.calculate_loss(batch).backward()
            optimiser.step()
        model.eval()
        yield


def train(config, model, part, epochs: int) -> None:
    deque(islice(epochs_of(config, model, part), epochs), maxlen=0)


@pytest.fixture(params=sorted(RATING_FORMS))
def built(request: pytest.FixtureRequest, planted):
    return build(request.param, planted)


@torch.no_grad()
def test_the_prediction_is_the_mean_plus_recboles_raw_score(built):
    config, split, model = built
    rows, mean = split.test[:], split.train.inter_feat["rating"].mean()
    bare = get_recbole_model(config["model"])(config, split.train).eval()
    bare.load_state_dict(model.state_dict(), strict=False)
    bare.sigmoid = nn.Identity()
    assert split.test.inter_feat["rating"].min() >= 1
    assert split.test.inter_feat["rating"].max() == 5
    assert torch.allclose(model.predict(rows).view(-1), mean + bare.predict(rows).view(-1), atol=1e-5)


@torch.no_grad()
def test_the_loss_is_the_squared_error_of_the_prediction(built):
    _, split, model = built
    rows = split.train[:]
    expected = ((model.predict(rows).view(-1) - rows["rating"]) ** 2).mean()
    assert torch.allclose(model.calculate_loss(rows), expected, atol=1e-5)


def test_training_reduces_the_error(built):
    config, split, model = built
    before = rmse(model, split.train)
    train(config, model, split.train, epochs=8)
    assert rmse(model, split.train) < 0.98 * before


@pytest.mark.parametrize("name", ["FM", "BPR"])
def test_training_finds_the_planted_ratings(name: str, planted):
    """A rating depends on the kinds of user and movie together: biases alone leave 1.63, the mean 1.70."""
    config, split, model = build(name, planted, learning_rate=0.02)
    train(config, model, split.train, epochs=20)
    assert rmse(model, split.train) < 0.8
    assert rmse(model, split.test) < 1.2


def test_predictions_are_clipped_to_the_scale_and_scores_are_not(planted):
    _, split, model = build("BPR", planted)
    model.user_bias.data[:] = torch.linspace(-9, 9, len(model.user_bias))
    rows = split.test[:]
    predicted = model.predict_rating(rows)
    assert (predicted.min(), predicted.max()) == (1, 5)
    assert model.predict(rows).min() < 1
    assert model.predict(rows).max() > 5


@torch.no_grad()
def test_the_factorisation_scores_all_movies_as_it_scores_pairs(planted):
    _, split, model = build("BPR", planted)
    nn.init.normal_(model.user_bias)
    nn.init.normal_(model.item_bias)
    users = split.test[:4]
    scores = model.full_sort_predict(users).view(4, -1)
    for item in (1, 5, split.test.item_num - 1):
        users[model.ITEM_ID] = torch.full((4,), item)
        assert torch.allclose(model.predict(users), scores[:, item], atol=1e-6)


@torch.no_grad()
def test_no_rating_outside_training_is_read(planted):
    predicted = []
    for _ in range(2):
        config, split, model = build("FM", planted)
        with torch.enable_grad():
            train(config, model, split.train, epochs=1)
        predicted.append(model.predict(split.test[:]))
        # The split does not depend on ratings: those outside training become 1, and everything is built again.
        held_out = {
            (split.test.id2token("user_id", user), split.test.id2token("item_id", item))
            for part in (split.valid, split.test)
            for user, item in zip(part.inter_feat["user_id"].numpy(), part.inter_feat["item_id"].numpy())
        }
        pairs = zip(planted.ratings["user_id:token"], planted.ratings["item_id:token"])
        planted.ratings.loc[[pair in held_out for pair in pairs], "rating:float"] = 1.0
        planted.write()
    assert split.test.inter_feat["rating"].max() == 1
    assert model.mean_rating == split.train.inter_feat["rating"].mean()
    assert torch.equal(*predicted)


def test_the_scale_is_the_option_or_the_training_rows(planted):
    assert build("FM", planted)[2].rating_scale.tolist() == [1, 5]
    assert build("FM", planted, rating_scale=[0, 10])[2].rating_scale.tolist() == [0, 10]


def test_weights_carry_over(built):
    config, split, model = built
    # Mean and scale are weights; LightGCN's graph is not, it is the training rows.
    other = config.model_class(config, split.train if config["model"] == "LightGCN" else split.valid)
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        rows = split.test[:]
        assert torch.equal(other.eval().predict_rating(rows), model.predict_rating(rows))


@pytest.mark.parametrize("protocol", ["ranking", "u1", "cold-item"])
def test_titles_and_genres_are_no_input(protocol: str, planted):
    """Both are loaded (titles to split by movie), and taken out before the model is built."""
    model = build("FM", planted, protocol=protocol)[2]
    assert {"user_id", "item_id", "release_year"} <= set(model.field_names)
    assert not {"movie_title", "class"} & set(model.field_names)


@pytest.mark.parametrize("name", sorted(RATING_FORMS))
def test_classes_are_found_by_name(name: str):
    form = RATING_FORMS[name]
    assert form.__name__ == name
    assert issubclass(form, get_recbole_model(name))
    assert pickle.loads(pickle.dumps(form)) is form  # noqa: S301 - what was just written
    assert form.capabilities.predicts_ratings and not form.capabilities.tasks


def test_ratings_that_are_not_loaded_are_an_error(planted):
    with pytest.raises(InputError, match="FM learns from ratings, but option load_col does not read field 'rating'"):
        build("FM", planted, load_col={**COLUMNS, "inter": ["user_id", "item_id"]})


@pytest.mark.slow
@pytest.mark.parametrize(("name", "low", "high"), [("FM", 0.935, 0.955), ("BPR", 0.94, 0.97)])
def test_error_on_the_first_canonical_fold(name: str, low: float, high: float):
    """Untuned settings on u1, at the epoch that is best on the validation part; user attributes, no genres."""
    options = {
        "protocol": "u1",
        "gpu_id": "",
        "load_col": {**COLUMNS, "user": ["user_id", "age", "gender", "occupation", "zip_code"]},
    }
    config = Config(name, "ml-100k", config_dict=options)
    init_seed(2020, True)
    split = build_split(create_dataset(config), config)
    assert [len(part) for part in (split.train, split.valid, split.test)] == [72000, 8000, 20000]
    model = config.model_class(config, split.train)
    epochs = islice(epochs_of(config, model, split.train), 12)
    _, error = min((rmse(model, split.valid), rmse(model, split.test)) for _ in epochs)
    assert low <= error <= high
