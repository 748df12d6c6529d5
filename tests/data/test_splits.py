from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from recbole.data import create_dataset

from recbole_mm.config.config import Config
from recbole_mm.data.atomic import check_atomic_files
from recbole_mm.data.dataset import MultimodalDataset, same_movie_groups
from recbole_mm.data.splits import build_split
from recbole_mm.errors import InputError


def split_of(planted, model="MMFS", **options):
    ours = model.startswith("MM")
    given = planted.options(**options) if ours else planted.data_options(**options)
    config = Config(model, planted.name, config_dict=given)
    dataset = MultimodalDataset(config) if ours else create_dataset(config)
    return build_split(dataset, config)


def rows_of(part) -> pd.DataFrame:
    ids = {name: part.field2id_token[name][part.inter_feat[name].numpy()] for name in ("user_id", "item_id")}
    return pd.DataFrame({**ids, "timestamp": part.inter_feat["timestamp"].numpy().astype(int)})


def row_numbers(part) -> list[int]:
    """Numbers of the part's rows before the shuffle: the timestamps of planted data."""
    return sorted(rows_of(part)["timestamp"])


@pytest.mark.parametrize("protocol", ["ranking", "temporal", "cold-item", "u1", "u5"])
def test_parts_are_disjoint_and_complete(planted, protocol):
    split = split_of(planted, protocol=protocol)
    numbers = [row_numbers(part) for part in (split.train, split.valid, split.test)]
    assert sorted(sum(numbers, [])) == list(range(len(planted.ratings)))
    assert all(numbers)


@pytest.mark.parametrize("fold", [1, 2, 3, 4, 5])
def test_fold_is_a_block_of_the_file(planted, fold):
    split = split_of(planted, protocol=f"u{fold}")
    size = len(planted.ratings) // 5
    block = planted.ratings.iloc[(fold - 1) * size : fold * size]
    assert row_numbers(split.test) == sorted(block["timestamp:float"])
    assert len(split.valid) == round(0.1 * 4 * size)


def test_folds_have_the_same_rows_for_a_built_in_model(planted):
    ours, builtin = split_of(planted, protocol="u3"), split_of(planted, model="BPR", protocol="u3")
    for name in ("train", "valid", "test"):
        pd.testing.assert_frame_equal(rows_of(getattr(ours, name)), rows_of(getattr(builtin, name)))


def test_filtered_rows_have_no_canonical_fold(planted):
    with pytest.raises(InputError, match=r"planted.inter: \d+ of 1800 rows were filtered out.*val_interval"):
        split_of(planted, protocol="u1", val_interval={"rating": "[2,5]"})


def test_seed_changes_the_validation_part_but_not_the_fold(planted):
    first, second = (split_of(planted, protocol="u1", seed=seed) for seed in (1, 2))
    assert row_numbers(first.test) == row_numbers(second.test)
    assert row_numbers(first.valid) != row_numbers(second.valid)


def test_cold_movies_have_no_training_row_and_keep_both_ids_of_a_movie_together(planted):
    split = split_of(planted, protocol="cold-item")
    parts = {name: set(rows_of(getattr(split, name))["item_id"]) for name in ("train", "valid", "test")}
    assert not parts["train"] & (parts["valid"] | parts["test"]) and not parts["valid"] & parts["test"]
    assert len(split.cold_items.test) == pytest.approx(0.2 * 89, abs=1.5)
    assert len(split.cold_items.valid) == pytest.approx(0.1 * 89, abs=1.5)
    ids = split.test.field2token_id["item_id"]
    both = {ids["m0"], ids["m1"]}
    sides = [name for name in ("train", "valid", "test") if both & set(getattr(split.cold_items, name).tolist())]
    assert len(sides) == 1
    # Cold in every respect: the genres of a cold movie are held out too.
    assert set(split.label_items["genre"].test.tolist()) == set(split.cold_items.test.tolist())


def test_the_same_title_of_the_same_year_is_one_movie(planted):
    config = Config("MMFS", planted.name, config_dict=planted.options())
    dataset = MultimodalDataset(config)
    dataset._change_feat_format()
    groups, ids = same_movie_groups(dataset), dataset.field2token_id["item_id"]
    assert groups[ids["m0"]] == groups[ids["m1"]]
    assert len(np.unique(groups[1:])) == len(planted.tokens) - 1


def test_genres_are_held_out_by_movie_and_never_trained(planted):
    split = split_of(planted)
    parts = [set(getattr(split.label_items["genre"], name).tolist()) for name in ("train", "valid", "test")]
    assert sum(map(len, parts)) == len(set.union(*parts)) == len(planted.tokens)
    assert len(parts[2]) == pytest.approx(0.2 * 90, abs=2) and len(parts[1]) == pytest.approx(0.1 * 90, abs=2)
    ids = split.train.field2token_id["item_id"]
    assert len({k for k, part in enumerate(parts) for t in ("m0", "m1") if ids[t] in part}) == 1


def test_genres_held_out_are_the_same_under_every_fold(planted):
    first, second = (split_of(planted, protocol=protocol) for protocol in ("ranking", "u4"))
    names = [s.train.field2id_token["item_id"][s.label_items["genre"].test.numpy()] for s in (first, second)]
    assert set(names[0]) == set(names[1])


def test_temporal_tests_on_the_latest_rows_of_each_user(planted):
    split = split_of(planted, protocol="temporal")
    parts = ("train", "valid", "test")
    latest = {name: rows_of(getattr(split, name)).groupby("user_id")["timestamp"] for name in parts}
    for earlier, later in (("train", "valid"), ("valid", "test")):
        edge, begin = latest[earlier].max(), latest[later].min()
        common = edge.index.intersection(begin.index)
        assert len(common) and (edge[common] < begin[common]).all()


def test_an_empty_part_is_an_error(planted):
    planted.ratings = planted.ratings.iloc[:4]
    planted.write()
    with pytest.raises(InputError, match="leaves no validation row"):
        split_of(planted, protocol="u1", valid_ratio=0.01)


def test_ranking_candidates_of_cold_movies(planted):
    from recbole_mm.training.session import prepare_session

    config = Config("MMFS", planted.name, config_dict=planted.options(protocol="cold-item"))
    session = prepare_session(config)
    candidates = session.test_data.candidates
    assert torch.equal(torch.nonzero(candidates).squeeze(1), session.split.cold_items.test.sort().values)
    batch = next(iter(session.test_data.ranking))
    session.trainer._candidates, session.trainer.tot_item_num = candidates, session.model.n_items
    session.model.eval()
    _, scores, _, _ = session.trainer._full_sort_batch_eval(batch)
    assert torch.isinf(scores[:, ~candidates]).all() and torch.isfinite(scores[:, candidates]).all()


def label(planted, parts) -> None:
    planted.ratings["x_label:token"] = parts
    planted.write()


@pytest.mark.parametrize("model", ["MMFS", "BPR", "FM"])
def test_a_published_split_is_kept_to_the_row(planted, model):
    parts = np.random.default_rng(5).choice([0, 1, 2], len(planted.ratings), p=[0.7, 0.1, 0.2])
    label(planted, parts)
    split = split_of(planted, model=model, protocol="published")
    times = planted.ratings["timestamp:float"].to_numpy()
    for number, part in enumerate((split.train, split.valid, split.test)):
        assert row_numbers(part) == sorted(times[parts == number])
        assert "x_label" not in part.inter_feat.columns and "x_label" not in part.field2type


@pytest.mark.parametrize("word", ["3", "", "train"])
def test_a_part_that_there_is_not_names_the_line(planted, word):
    parts = ["0", "1", "2", *["0"] * (len(planted.ratings) - 3)]
    parts[6] = word
    label(planted, parts)
    with pytest.raises(InputError, match=f"planted.inter: line 8: x_label is '{word}', but split_by label takes 0"):
        check_atomic_files(Config("MMFS", planted.name, config_dict=planted.options(protocol="published")))


def test_a_published_split_needs_its_column_and_all_parts(planted):
    config = Config("MMFS", planted.name, config_dict=planted.options(protocol="published"))
    with pytest.raises(InputError, match="no field 'x_label' in the header"):
        check_atomic_files(config)
    label(planted, [0] * 1700 + [1] * 100)
    with pytest.raises(InputError, match="protocol 'published' leaves no test row"):
        split_of(planted, protocol="published")
