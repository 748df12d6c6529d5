"""The cache of parsed ratings: the same data as without it, and never those of another or a damaged file."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from recbole_mm import run
from recbole_mm.config.config import Config
from recbole_mm.data import cache
from recbole_mm.data.columns import read_table
from recbole_mm.errors import InputError
from recbole_mm.training.session import fingerprint, prepare_data


@pytest.fixture(autouse=True)
def any_size(monkeypatch, tmp_path):
    monkeypatch.setattr(cache, "WORTH_BYTES", 0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))


@pytest.fixture
def parsed(monkeypatch) -> list[Path]:
    """The files that are parsed, not read from the cache."""
    paths = []

    def counting(path, reading):
        paths.append(path)
        return read_table(path, reading)

    monkeypatch.setattr(cache, "read_table", counting)
    return paths


def load(planted, model="MMFS", **options):
    given = planted.options(**options) if model.startswith("MM") else planted.data_options(**options)
    return prepare_data(Config(model, planted.name, config_dict=given))


def kept(planted) -> list[Path]:
    return sorted((planted.folder / ".recbole-mm-cache").glob("planted.inter.*"))


def rows(split) -> list[np.ndarray]:
    return [
        part.inter_feat[name].numpy() for part in (split.train, split.valid, split.test) for name in part.inter_feat
    ]


@pytest.mark.parametrize("model", ["MMFS", "BPR", "SASRec"])
def test_the_second_start_has_the_same_rows_and_does_not_parse(planted, parsed, model, caplog):
    caplog.set_level("INFO")
    without_cache = load(planted, model, ratings_cache=None)
    assert not kept(planted)
    first, second = load(planted, model), load(planted, model)
    assert len(parsed) == 2 and len(kept(planted)) == 1
    assert "kept parsed in" in caplog.text and "were parsed before and come from" in caplog.text
    if model != "SASRec":  # whose rows are augmented later
        assert fingerprint(*without_cache) == fingerprint(*first) == fingerprint(*second)
    for one, two in zip(rows(without_cache[1]), rows(second[1]), strict=True):
        assert one.dtype == two.dtype and one.tobytes() == two.tobytes()
    for field, tokens in without_cache[0].field2id_token.items():
        assert second[0].field2id_token[field].tolist() == tokens.tolist()


def test_metrics_are_equal_with_and_without_the_cache(planted, parsed):
    without = run("MMFS", planted.name, config_dict=planted.options(ratings_cache=None))
    first, second = (run("MMFS", planted.name, config_dict=planted.options()) for _ in range(2))
    assert len(parsed) == 2
    assert without.test == first.test == second.test and without.valid == second.valid
    assert [epoch["losses"] for epoch in without.history] == [epoch["losses"] for epoch in second.history]


def change_first_rating(planted, to: str) -> None:
    path = planted.folder / "planted.inter"
    lines = path.read_text().split("\n")
    cells = lines[1].split("\t")
    lines[1] = "\t".join([*cells[:2], to, cells[3]])
    path.write_text("\n".join(lines))


def test_a_changed_file_of_the_same_size_and_time_is_read_anew(planted, parsed):
    path = planted.folder / "planted.inter"
    change_first_rating(planted, "5.0")
    before = path.stat()
    ratings = load(planted)[0].inter_feat["rating"].numpy().copy()
    change_first_rating(planted, "1.0")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size and path.stat().st_mtime_ns == before.st_mtime_ns
    changed = load(planted)[0].inter_feat["rating"].numpy()
    assert len(parsed) == 2 and len(kept(planted)) == 2
    assert np.sort(ratings).sum() - np.sort(changed).sum() == 4
    change_first_rating(planted, "5.0")  # back again
    assert np.array_equal(load(planted)[0].inter_feat["rating"].numpy(), ratings) and len(parsed) == 2


def test_errors_and_warnings_are_those_of_the_file(planted, parsed):
    load(planted)
    for _ in range(2):
        with pytest.raises(InputError, match=r"planted.inter: line \d+: rating is '5.0', but must be .* from 1 to 4"):
            load(planted, rating_scale=[1, 4])
    assert len(parsed) == 1
    change_first_rating(planted, "good")
    for _ in range(2):
        with pytest.raises(InputError, match=r"planted.inter: line 2: rating is 'good', but must be a number"):
            load(planted)
    assert len(kept(planted)) == 1
    change_first_rating(planted, "")
    for _ in range(2):
        with pytest.raises(InputError, match=r"planted.inter: line 2: rating is ''"):
            load(planted)


def test_other_options_of_parsing_are_another_table(planted, parsed):
    load(planted)
    load(planted, encoding="latin-1")
    columns = {"inter": ["user_id", "item_id", "rating"], "item": planted.options()["load_col"]["item"]}
    load(planted, load_col=columns)
    assert len(parsed) == 3 and len(kept(planted)) == 3
    load(planted, seed=5, like_threshold=3)
    assert len(parsed) == 3


def damage_array(folder: Path) -> None:
    path = folder / "2.numbers.npy"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(bytes(content))


def cut_array(folder: Path) -> None:
    path = folder / "0.codes.npy"
    path.write_bytes(path.read_bytes()[:-100])


def foreign_array(folder: Path) -> None:
    np.save(folder / "2.numbers.npy", np.ones(1800))


def pickled_array(folder: Path) -> None:
    """An array of objects, with the right checksum: it must not be unpickled."""
    np.save(folder / "2.numbers.npy", np.array([print] * 1800, object), allow_pickle=True)
    reseal(folder, lambda content: None)


def wrong_code(folder: Path) -> None:
    codes = np.load(folder / "0.codes.npy")
    codes[7] = 10_000
    np.save(folder / "0.codes.npy", codes)
    reseal(folder, lambda content: None)


def fewer_rows(folder: Path) -> None:
    reseal(folder, lambda content: content["lines"].update(rows=1700))


def reseal(folder: Path, change) -> None:
    content = json.loads((folder / "seal.json").read_text())
    del content["seal"]
    content["arrays"] = {name: cache._digest_of(folder / f"{name}.npy") for name in content["arrays"]}
    change(content)
    (folder / "seal.json").write_text(json.dumps({**content, "seal": cache._seal_of(content)}))


@pytest.mark.parametrize(
    "damage",
    [
        damage_array,
        cut_array,
        foreign_array,
        pickled_array,
        wrong_code,
        fewer_rows,
        lambda folder: (folder / "seal.json").unlink(),
        lambda folder: (folder / "seal.json").write_text("[]"),
        lambda folder: (folder / "seal.json").write_bytes(b"\xff\xfe"),
        lambda folder: (folder / "seal.json").write_text((folder / "seal.json").read_text().replace("1800", "1799")),
        lambda folder: (folder / "3.numbers.npy").unlink(),
        lambda folder: reseal(folder, lambda content: content.update(key="")),
        lambda folder: reseal(folder, lambda content: content.pop("lines")),
        lambda folder: reseal(folder, lambda content: content["arrays"].pop("1.tokens")),
    ],
)
def test_a_damaged_table_is_made_anew(planted, parsed, caplog, damage):
    wanted = fingerprint(*load(planted))
    (folder,) = kept(planted)
    damage(folder)
    assert fingerprint(*load(planted)) == wanted
    assert len(parsed) == 2 and "is damaged or none of ours" in caplog.text
    assert fingerprint(*load(planted)) == wanted and len(parsed) == 2


def test_a_table_under_a_wrong_name_is_not_taken(planted, parsed):
    """Somebody renames the table of other content: its seal is right, but not for this file."""
    load(planted)
    (old,) = kept(planted)
    change_first_rating(planted, "3.0")
    wanted = load(planted, ratings_cache=None)[0].inter_feat["rating"].numpy()
    load(planted)
    new = next(folder for folder in kept(planted) if folder != old)
    shutil.rmtree(new)
    old.rename(new)
    assert np.array_equal(load(planted)[0].inter_feat["rating"].numpy(), wanted)


def test_where_it_lies(planted, parsed, tmp_path, caplog):
    caplog.set_level("INFO")
    load(planted, ratings_cache=str(tmp_path / "elsewhere"))
    assert not kept(planted) and len(list((tmp_path / "elsewhere").iterdir())) == 1
    (planted.folder / ".recbole-mm-cache").write_text("no folder: it cannot be written to")
    load(planted)
    assert len(list((tmp_path / "caches" / "recbole-mm").iterdir())) == 1
    load(planted)
    assert len(parsed) == 2
    (tmp_path / "full").write_text("")
    load(planted, ratings_cache=str(tmp_path / "full"))
    assert len(parsed) == 3 and "not kept parsed for the next start" in caplog.text


def test_small_files_are_not_kept(planted, monkeypatch):
    monkeypatch.setattr(cache, "WORTH_BYTES", 32 << 20)
    load(planted)
    assert not kept(planted)


def test_only_the_newest_tables_of_a_file_stay(planted):
    for rating in ("1.0", "2.0", "3.0", "4.0", "5.0"):
        change_first_rating(planted, rating)
        load(planted)
    assert len(kept(planted)) == 3
    assert not list((planted.folder / ".recbole-mm-cache").glob("*.partial"))


def test_a_file_that_changes_while_it_is_parsed_is_not_kept(planted, monkeypatch):
    def changing(path, reading):
        table = read_table(path, reading)
        change_first_rating(planted, "2.0")
        return table

    change_first_rating(planted, "1.0")
    monkeypatch.setattr(cache, "read_table", changing)
    load(planted)
    assert not kept(planted)
