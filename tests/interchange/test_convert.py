"""Folders of other tools become data sets: every row, every vector, the published split, and nothing pickled."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recbole_mm.cli.main import main
from recbole_mm.config.config import Config
from recbole_mm.data.vectors import read_vectors
from recbole_mm.errors import InputError
from recbole_mm.interchange.convert import read_folder
from recbole_mm.training.session import prepare_data


def written(name: str) -> pd.DataFrame:
    frame = pd.read_csv(f"dataset/{name}/{name}.inter", sep="\t", dtype=str)
    return frame.rename(columns=lambda column: column.partition(":")[0])


def pairs(frame: pd.DataFrame, *columns: str) -> list[tuple[str, ...]]:
    return sorted(frame[list(columns)].astype(str).itertuples(index=False, name=None))


def check_vectors(peers, name: str, field: str, of: str, item=str, items=range(40)) -> None:
    table = read_vectors(Path("dataset") / name, name, field)
    assert sorted(table.item_ids) == sorted(item(one) for one in items)
    for token, values in zip(table.item_ids, table.values):
        number = next(one for one in items if item(one) == token)
        np.testing.assert_array_equal(values, peers.vectors[of][number])


@pytest.mark.parametrize(("layout", "name"), [("mmrec", "baby"), ("lattice", "sports"), ("elliot", "music")])
def test_a_published_split_is_kept_to_the_row(peers, layout, name):
    folder = getattr(peers, layout)()
    assert main(["convert", str(folder)]) == 0
    assert pairs(written(name), "user_id", "item_id", "x_label") == pairs(peers.rows, "userID", "itemID", "x_label")
    check_vectors(peers, name, "visual" if layout == "elliot" else "image", "image")
    for model in ("MMFS", "BPR"):
        config = Config(model, name, config_dict={"show_progress": False, "state": "ERROR"})
        dataset, split = prepare_data(config)
        assert config["protocol"] == "published"
        for part, rows in enumerate((split.train, split.valid, split.test)):
            got = [
                dataset.field2id_token[field][rows.inter_feat[field].numpy()].tolist()
                for field in ("user_id", "item_id")
            ]
            assert sorted(zip(*got)) == pairs(peers.rows[peers.rows["x_label"] == part], "userID", "itemID")


def test_mmrec_keeps_ratings_and_reads_nothing_pickled(peers, capsys):
    assert main(["convert", str(peers.mmrec()), "--from=mrlib", "--name=other"]) == 0
    told = capsys.readouterr().out
    assert "user_graph_dict.npy: not read (pickled)" in told and "split: kept as published" in told
    assert pairs(written("other"), "user_id", "item_id", "timestamp") == pairs(
        peers.rows, "userID", "itemID", "timestamp"
    )
    assert written("other")["rating"].astype(float).sum() == peers.rows["rating"].sum()
    check_vectors(peers, "other", "text", "text")


def test_ducho(peers):
    assert main(["convert", str(peers.ducho())]) == 0
    assert len(written("office")) == 900 and set(written("office")["item_id"]) <= {f"B{i:03}" for i in range(40)}
    check_vectors(peers, "office", "visual", "image", lambda item: f"B{item:03}")
    check_vectors(peers, "office", "textual", "text", lambda item: f"B{item:03}")


def test_ducho_with_several_layers_names_each(peers):
    folder = peers.ducho()
    peers.tree(folder / "visual_embeddings", "text", "torch/VGG19/4", lambda item: f"B{item:03}")
    fields = read_folder(folder).vectors
    assert {"visual_torch_resnet50_avgpool", "visual_torch_vgg19_4", "textual"} == set(fields)


def test_cornac(peers):
    assert main(["convert", str(peers.cornac())]) == 0
    assert pairs(written("cornac"), "user_id", "item_id") == pairs(peers.rows, "userID", "itemID")
    check_vectors(peers, "cornac", "image", "image")
    texts = pd.read_csv("dataset/cornac/texts.csv")
    assert list(texts) == ["item_id", "text"] and texts["text"][3] == 'The "3", a :: story'


@pytest.mark.parametrize("separator", ["\t", "|", ","])
def test_recbole_vectors_wherever_they_are(peers, separator):
    assert main(["convert", str(peers.recbole(separator))]) == 0
    assert pairs(written("onion"), "user_id", "item_id") == pairs(peers.rows, "userID", "itemID")
    check_vectors(peers, "onion", "img", "image")
    check_vectors(peers, "onion", "item_vectors", "text")
    check_vectors(peers, "onion", "ent", "text", items=range(0, 40, 2))
    titles = pd.read_csv("dataset/onion/onion.item", sep="\t", quoting=3)
    assert titles["movie_title:token_seq"][7] == '"7" film'


def test_recbole_parts_in_files_of_their_own(peers):
    folder = peers.recbole()
    (folder / "onion.inter").unlink()
    rows = peers.rows[["userID", "itemID"]].set_axis(["user_id:token", "item_id:token"], axis=1)
    for part, name in enumerate(("train", "valid", "test")):
        rows[peers.rows["x_label"] == part].to_csv(folder / f"onion.{name}.inter", sep="\t", index=False)
    assert main(["convert", str(folder), "--name=parts"]) == 0
    assert pairs(written("parts"), "user_id", "item_id", "x_label") == pairs(peers.rows, "userID", "itemID", "x_label")


def test_without_a_validation_part_a_run_draws_one_and_the_test_part_stays(peers, capsys):
    folder = peers.elliot()
    (folder / "val_indexed.tsv").unlink()
    assert main(["convert", str(folder)]) == 0
    assert "a run draws its validation part from the training rows" in capsys.readouterr().out
    dataset, split = prepare_data(Config("MMFS", "music", config_dict={"show_progress": False, "state": "ERROR"}))
    trained, tested = (int((peers.rows["x_label"] == part).sum()) for part in (0, 2))
    assert (len(split.valid), len(split.train) + len(split.valid)) == (round(0.1 * trained), trained)
    got = [dataset.field2id_token[f][split.test.inter_feat[f].numpy()].tolist() for f in ("user_id", "item_id")]
    assert sorted(zip(*got)) == pairs(peers.rows[peers.rows["x_label"] == 2], "userID", "itemID")
    assert len(split.test) == tested


# ---------------------------------------------------------------------- the other way


def test_to_mmrec_and_back(peers):
    assert main(["convert", str(peers.mmrec())]) == 0
    assert main(["convert", "dataset/baby", "--to=mmrec"]) == 0
    again = pd.read_csv("mmrec/baby/baby.inter", sep="\t")
    assert list(again) == ["userID", "itemID", "rating", "timestamp", "x_label"]
    users = pd.read_csv("mmrec/baby/u_id_mapping.csv", sep="\t").set_index("userID")["user_id"]
    items = pd.read_csv("mmrec/baby/i_id_mapping.csv", sep="\t").set_index("itemID")["item_id"]
    back = again.assign(userID=users[again["userID"]].to_numpy(), itemID=items[again["itemID"]].to_numpy())
    pd.testing.assert_frame_equal(
        back.sort_values(["userID", "itemID"], ignore_index=True),
        peers.rows.sort_values(["userID", "itemID"], ignore_index=True),
        check_dtype=False,
    )
    image = np.load("mmrec/baby/image_feat.npy")
    np.testing.assert_array_equal(image[np.argsort(items.to_numpy())], peers.vectors["image"])
    assert main(["convert", "mmrec/baby", "--name=again"]) == 0
    assert len(written("again")) == 900


def test_to_mmrec_says_what_it_has_to_fill_in(peers, capsys):
    folder = peers.cornac()
    np.save(folder / "image_features.npy", peers.vectors["image"][:30])
    (folder / "item_ids.txt").write_text("".join(f"{item}\n" for item in range(30)))
    assert main(["convert", str(folder), "--to=mmrec", "--out=out"]) == 0
    told = capsys.readouterr().out
    assert "image: 10 of 40 items have no vector and get the mean of the others" in told
    assert "split: none is published, so it is 8:1:1" in told
    assert len(Path("out/cornac/missing_image.txt").read_text().split()) == 10
    image = np.load("out/cornac/image_feat.npy")
    assert image.shape == (40, 6)
    labels = pd.read_csv("out/cornac/cornac.inter", sep="\t")["x_label"].value_counts(normalize=True)
    assert 0.05 < labels[1] < 0.15 and 0.05 < labels[2] < 0.15


def test_to_parquet_and_back(peers):
    pytest.importorskip("pyarrow", reason="pyarrow (extra 'import') is not installed")
    assert main(["convert", str(peers.recbole()), "--to=parquet"]) == 0
    folder = "parquet/onion"
    files = [f"--ratings={folder}/ratings.parquet", f"--items={folder}/items.parquet"]
    assert main(["import", *files, "--vectors", f"image={folder}/img.parquet", "--name=back"]) == 0
    assert pairs(written("back"), "user_id", "item_id") == pairs(peers.rows, "userID", "itemID")
    check_vectors(peers, "back", "image", "image")


def test_files_of_the_users_own_are_kept(peers):
    folder = peers.mmrec()
    assert main(["convert", str(folder), "--to=mmrec"]) == 0
    Path("mmrec/baby/mine.txt").write_text("mine")
    assert main(["convert", str(folder), "--to=mmrec"]) == 2
    assert main(["convert", str(folder), "--to=mmrec", "--force"]) == 0
    assert Path("mmrec/baby/mine.txt").read_text() == "mine"


# ---------------------------------------------------------------------- what is wrong


def test_pickled_matrices_are_refused_with_the_way_out(peers, tmp_path):
    folder = tmp_path / "diffmm"
    folder.mkdir()
    (folder / "trnMat.pkl").write_bytes(pickle.dumps({}))
    with pytest.raises(
        InputError, match=r"trnMat.pkl: pickled Python objects can run code.*userID, itemID and x_label"
    ):
        read_folder(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "baby.inter").unlink(), "looks like none of the layouts"),
        (lambda f: (f / "other.inter").write_bytes((f / "baby.inter").read_bytes()), None),
        (lambda f: np.save(f / "image_feat.npy", np.ones((20, 3))), "has 20 rows, but the ratings have item 39"),
        (lambda f: np.save(f / "image_feat.npy", np.ones(40)), r"shape \[40\], but must be a matrix"),
        (lambda f: np.save(f / "image_feat.npy", np.array([{}], object)), "image_feat.npy: pickled Python objects"),
        (
            lambda f: replace(f / "baby.inter", "\t39\t", "\tB39\t"),
            r"line \d+: column 'itemID' is 'B39', but an item is",
        ),
        (
            lambda f: replace(f / "baby.inter", "x_label\n0\t", "x_label\n\t"),
            "line 2: column 'userID': the id is empty",
        ),
        (lambda f: append(f / "baby.inter", "1\t2\n"), "line 902 has 2 columns, the header has 5"),
    ],
)
def test_wrong_folders_name_file_line_and_remedy(peers, change, message):
    folder = peers.mmrec()
    change(folder)
    if message is None:
        assert len(read_folder(folder).interactions) == 900  # the table that is named like the folder
        return
    with pytest.raises(InputError, match=message):
        read_folder(folder)
    assert main(["convert", str(folder)]) == 2 and not Path("dataset").exists()


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["baby", "--from=mmrek"], "--from=mmrek: is none of.*Did you mean 'mmrec'"),
        (["baby", "--to=parket"], "--to=parket: is none of.*Did you mean 'parquet'"),
        (["baby", "--from=lattice"], "has no train.json"),
        (["baby", "--from=ducho"], "has no reviews.tsv"),
        (["baby", "--from=elliot"], "has no test.tsv, train.tsv"),
        (["baby", "--from=cornac"], "has no rating.txt"),
        (["baby", "--from=recbole"], "the first line must name columns and types"),
        (["absent"], "absent: no such folder"),
        (["baby", "--name=ml-100k-mm"], "is a data set of the package"),
    ],
)
def test_wrong_options(peers, capsys, arguments, message):
    peers.mmrec()
    assert main(["convert", *arguments]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(error)


def test_json_that_is_none(peers):
    folder = peers.lattice()
    for text, message in (
        ("{", "is no json"),
        ("[]", "is a list, but must be"),
        ('{"0": 3}', "user '0': 3 is no list"),
    ):
        (folder / "5-core" / "train.json").write_text(text)
        with pytest.raises(InputError, match=message):
            read_folder(folder)


# ---------------------------------------------------------------------- real files


def test_tiktok_has_its_published_split(shared):
    assert main(["convert", str(shared / "tiktok")]) == 0
    for model in ("MMFS", "LightGCN"):
        config = Config(model, "tiktok", config_dict={"show_progress": False, "state": "ERROR"})
        dataset, split = prepare_data(config)
        assert [len(part) for part in (split.train, split.valid, split.test)] == [59541, 3051, 6130]
        assert (dataset.user_num - 1, dataset.item_num - 1) == (9308, 6710)
    audio = np.load(shared / "tiktok" / "audio_feat.npy")
    table = read_vectors(Path("dataset/tiktok"), "tiktok", "audio")
    np.testing.assert_array_equal(table.values[np.argsort(table.item_ids.astype(int))], audio.astype(np.float32))


def test_files_of_peers(shared, tmp_path):
    peers = shared / "peer-fixtures"
    assert len(read_folder(peers / "cornac").interactions) == 10
    folder = tmp_path / "movielens"
    folder.mkdir()
    for file in ("map.tsv", "features.tsv"):
        (folder / file).write_bytes((peers / "elliot" / file).read_bytes())
    items = [line.split("\t")[0] for line in (folder / "map.tsv").read_text().splitlines()]
    for start, part in enumerate(("train", "val", "test")):
        rows = [f"{i % 7}\t{item}\t5\n" for i, item in enumerate(items[start::3])]
        (folder / f"{part}.tsv").write_text("".join(rows))
    contents = read_folder(folder)
    attributes = contents.vectors["attributes"]
    assert attributes.values.shape[0] == len(items) and set(np.unique(attributes.values)) == {0, 1}
    first = (folder / "map.tsv").read_text().splitlines()[0].split("\t")
    assert attributes.values[attributes.item_ids.tolist().index(first[0])].sum() == len(first) - 1
    folder = tmp_path / "test"
    folder.mkdir()
    for file in ("test.inter", "test.item", "test.user", "test.link"):
        (folder / file).write_bytes((peers / "recbole" / file).read_bytes())
    with pytest.raises(InputError, match="test.inter: line 6018 has 5 columns, the header has 4"):
        read_folder(folder)  # the last line of the real file is broken
    *lines, _ = (folder / "test.inter").read_text().splitlines()
    (folder / "test.inter").write_text("\n".join(lines))
    contents = read_folder(folder)
    assert len(contents.interactions) + repeated(contents.notes) == len(lines) - 1
    assert "Animation" in contents.items["class"][0] and contents.users is not None


def repeated(notes: list[str]) -> int:
    found = [note for note in notes if "repeat a pair" in note]
    return int(found[0].split()[1].replace(",", "")) if found else 0
