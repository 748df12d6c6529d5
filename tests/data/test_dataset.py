from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from recbole_mm import run
from recbole_mm.config.config import Config
from recbole_mm.data.dataset import MultimodalDataset
from recbole_mm.data.vectors import write_vectors
from recbole_mm.errors import InputError
from recbole_mm.measure.small_data import NAME, PER_USER, USERS, write_small_data
from recbole_mm.training.session import prepare_data


def dataset_of(planted, **options) -> MultimodalDataset:
    return MultimodalDataset(Config("MMFS", planted.name, config_dict=planted.options(**options)))


def test_vectors_are_aligned_by_token_whatever_the_order_of_the_file(planted):
    order = np.random.default_rng(1).permutation(len(planted.tokens))
    write_vectors(
        planted.folder / "planted.text", "text", [planted.tokens[i] for i in order], planted.text[order], decimals=6
    )
    dataset = dataset_of(planted)
    text = dataset.modalities["text"]
    ids = dataset.field2token_id["item_id"]
    assert text.values.shape == (len(planted.tokens) + 1, 3) and text.values.dtype == torch.float32
    for token, vector in zip(planted.tokens, planted.text):
        np.testing.assert_allclose(text.values[ids[token]].numpy(), vector, atol=1e-5)
    assert not text.present[0] and text.present[1:].all()


def test_presence_is_the_mask(planted):
    audio = dataset_of(planted).modalities["audio"]
    assert int(audio.present.sum()) == 60
    assert (audio.values[~audio.present] == 0).all()


def test_coverage_of_each_modality_is_logged_and_a_small_one_warned_of(planted, caplog):
    tokens = ["m0", *(f"other{i}" for i in range(50))]
    write_vectors(planted.folder / "planted.audio", "audio", tokens, np.ones((51, 2)))
    with caplog.at_level(logging.INFO):
        dataset_of(planted)
    levels = {record.message: record.levelname for record in caplog.records}
    assert levels["text: 90 of 90 items have a vector, 3-d"] == "INFO"
    assert levels["audio: 1 of 90 items have a vector, 2-d"] == "WARNING"


def test_genre_targets(planted):
    dataset = dataset_of(planted)
    genres = dataset.labels["genre"]
    assert sorted(genres.names) == ["Action", "Comedy", "Drama"]
    ids = dataset.field2token_id["item_id"]
    for token, kind in zip(planted.tokens, planted.kind):
        names = [genres.names[j] for j in torch.nonzero(genres.targets[ids[token]]).squeeze(1)]
        assert names == [("Action", "Comedy", "Drama")[kind]]
    assert not genres.labelled[0]


def test_titles_by_item(planted):
    planted.item_columns["movie_title:token_seq"][5] = ""
    planted.write()
    dataset = dataset_of(planted)
    ids, titles = dataset.field2token_id["item_id"], dataset.titles()
    assert titles[0] == "" and titles[ids["m5"]] == "" and titles[ids["m7"]] == "Movie number 7"
    columns = {**planted.data_options()["load_col"], "item": ["item_id", "class"]}
    assert dataset_of(planted, load_col=columns).titles().tolist() == [""] * 91


def test_unknown_is_no_genre(planted):
    planted.item_columns["class:token_seq"] = ["unknown", *planted.item_columns["class:token_seq"][1:]]
    planted.write()
    dataset = dataset_of(planted)
    genres = dataset.labels["genre"]
    assert sorted(genres.names) == ["Action", "Comedy", "Drama"]
    assert not dataset.labels["genre"].labelled[dataset.field2token_id["item_id"]["m0"]]


def test_metadata_with_genres_are_read_only_as_the_labelled_ablation(planted):
    write_vectors(planted.folder / "planted.meta", "meta", planted.tokens, planted.text)
    write_vectors(planted.folder / "planted.meta_genre", "meta_genre", planted.tokens, planted.text + 1)
    assert list(dataset_of(planted, modalities=["meta"]).modalities) == ["meta"]
    assert list(dataset_of(planted, modalities=["meta"], metadata_genre=True).modalities) == ["meta_genre"]


def test_batches_carry_neither_vectors_nor_genres(planted):
    assert set(dataset_of(planted)[:4].columns) == {"user_id", "item_id", "rating", "timestamp"}


def test_absent_genre_field_is_an_error(planted):
    with pytest.raises(InputError, match="has no field 'clas' .option genre_field.. Did you mean 'class'?"):
        dataset_of(planted, genre_field="clas")


def test_a_field_without_any_genre_is_an_error(planted):
    planted.item_columns["class:token_seq"] = ["unknown"] * len(planted.tokens)
    planted.write()
    with pytest.raises(InputError, match="field 'class' holds no genre"):
        dataset_of(planted)


def test_missing_vector_file_is_an_error(planted):
    (planted.folder / "planted.audio").unlink()
    with pytest.raises(InputError, match="planted.audio"):
        dataset_of(planted)


def test_unknown_modality_is_an_error_with_the_nearest_name(planted):
    with pytest.raises(InputError, match="'txt'.*Did you mean 'text'"):
        dataset_of(planted, modalities=["txt"])


def test_knowledge_models_take_data_that_are_split_already(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = write_small_data(tmp_path / "dataset") / NAME
    header, *rows = (folder / "small.inter").read_text().splitlines()
    rows = [row for row in rows if row.split("\t")[1] != "i7"]  # its link is one of no rated item
    for part, own in {"train": rows[:-60], "valid": rows[-60:-59], "test": rows[-59:]}.items():
        (folder / f"small.{part}.inter").write_text("\n".join([header, *own]) + "\n")
    options = {"data_path": "dataset", "gpu_id": "", "show_progress": False, "epochs": 1}
    options.update(benchmark_filename=["train", "valid", "test"], load_col={"inter": ["user_id", "item_id"]})
    assert run("CKE", NAME, config_dict=options, saved=False).test["recall@10"] >= 0


def test_items_without_an_entity_are_left_out_and_said(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    folder = write_small_data(tmp_path / "dataset") / NAME
    link = folder / "small.link"
    link.write_text("\n".join(line for line in link.read_text().splitlines() if not line.startswith("i7\t")) + "\n")
    _, split = prepare_data(Config("CKE", NAME, config_dict={"data_path": "dataset"}))
    assert sum(len(part) for part in (split.train, split.valid, split.test)) < USERS * PER_USER
    assert "rows are left out by the knowledge graph" in caplog.text
