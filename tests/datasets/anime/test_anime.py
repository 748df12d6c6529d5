"""anime: ratings from 1 to 10, text and metadata; no reception, no genre words."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anime_files import ADULT, FEW, USERS, WITHOUT_SYNOPSIS, Lengths, items_text, ratings_text, write_anime
from mmtf_files import assert_nothing_left, everything

import recbole_mm
from recbole_mm.data.vectors import read_vectors
from recbole_mm.datasets.anime import build as anime
from recbole_mm.datasets.registry import prepare
from recbole_mm.errors import InputError
from recbole_mm.features.encoders import encoder_path, load_field_encoder

NAME = anime.DATASET
SHARED = Path(os.environ.get("RECBOLE_MM_SOURCE", Path(__file__).parents[4] / "shared" / "data"))


@pytest.fixture(autouse=True)
def given_to_the_encoder(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A quick sentence encoder in place of the real one; the texts that it is given."""
    texts: list[str] = []

    class Noted(Lengths):
        def encode(self, given, **options) -> np.ndarray:
            texts.extend(given)
            return super().encode(given, **options)

    monkeypatch.setattr("recbole_mm.datasets.text_vectors.load_encoder", lambda: Noted())
    monkeypatch.setattr("recbole_mm.features.encoders.load_encoder", lambda: Lengths())
    return texts


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_anime(tmp_path / "source")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "dataset"


class TestBuild:
    def test_ratings_and_anime(self, source: Path, out: Path) -> None:
        folder = prepare(NAME, out, source)
        ratings = pd.read_csv(folder / f"{NAME}.inter", sep="\t")
        assert list(ratings) == ["user_id:token", "item_id:token", "rating:float"]
        assert set(ratings["rating:float"]) == set(range(1, 11))
        assert not {ADULT, WITHOUT_SYNOPSIS, FEW} & set(ratings["item_id:token"])
        assert USERS + 1 not in set(ratings["user_id:token"])
        assert ratings.groupby("user_id:token").size().min() >= 20
        assert ratings.groupby("item_id:token").size().min() >= 10
        assert ratings["user_id:token"][: len(ratings) // 5].nunique() > 30, "u1 is a random fifth"
        items = pd.read_csv(folder / f"{NAME}.item", sep="\t", dtype=str).set_index("item_id:token")
        assert set(items.index) == {str(i) for i in range(1, FEW)} - {str(ADULT), str(WITHOUT_SYNOPSIS)}
        assert items.loc["1"].tolist() == ["Anime 1 A's", "1991", "Slice-of-Life"]
        assert "336" not in (page := (folder / "PROVENANCE.md").read_text("utf-8")) and "33 anime" in page

    def test_no_genre_and_no_reception_comes_in(self, source: Path, out: Path, given_to_the_encoder) -> None:
        folder = prepare(NAME, out, source)
        assert given_to_the_encoder and not any("mecha" in text or "comedy" in text for text in given_to_the_encoder)
        words, meta = (load_field_encoder(encoder_path(folder, NAME, field)) for field in ("words", "meta"))
        assert not {"mecha", "comedy"} & set(words.components.terms.tolist())
        names = meta.components.terms.tolist()
        assert {"studio=studio 1", "source=manga", "type=tv", "year=1991", "decade=1990"} <= set(names)
        assert {name.partition("=")[0] for name in names} == {"studio", "source", "type", "year", "decade"}
        assert not any("mecha" in name for name in names)

    def test_an_encoder_lies_beside_each_field(self, source: Path, out: Path) -> None:
        folder = prepare(NAME, out, source)
        texts = pd.read_csv(source / "anime_items_joined.tsv.gz", sep="\t").set_index("item_id")["synopsis"]
        for field in ("text", "words"):
            table = read_vectors(folder, NAME, field)
            encoder = load_field_encoder(encoder_path(folder, NAME, field))
            expected = table.values[table.item_ids.tolist().index("4")]
            np.testing.assert_allclose(encoder([texts[4]])[0], expected, atol=1e-3)

    def test_embeddings_are_resumed_and_a_complete_folder_is_left_alone(
        self, source: Path, out: Path, given_to_the_encoder, monkeypatch
    ) -> None:
        def stopped(*arguments, **options):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(anime, "replacing_folder", stopped)
            with pytest.raises(KeyboardInterrupt):
                prepare(NAME, out, source)
        assert [path.name for path in (out / NAME).iterdir()] == [f"extract.{NAME}"]
        embedded = len(given_to_the_encoder)
        folder = prepare(NAME, out, source)
        assert len(given_to_the_encoder) == embedded == 33
        kept = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
        assert prepare(NAME, out) == folder
        assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == kept
        first = everything_but_kept(folder)
        prepare(NAME, out, source, force=True)
        assert everything_but_kept(folder) == first, "the same each time"

    def test_zips_are_read(self, source: Path, out: Path, tmp_path: Path) -> None:
        archive = shutil.make_archive(str(tmp_path / "anime"), "zip", source)
        assert everything_but_kept(prepare(NAME, out, Path(archive))) == everything_but_kept(
            prepare(NAME, tmp_path / "other", source)
        )

    def test_a_model_trains_on_it(self, source: Path, out: Path, tmp_path: Path, monkeypatch) -> None:
        prepare(NAME, out, source)
        monkeypatch.chdir(tmp_path)
        options = {"data_path": str(out), "epochs": 2, "gpu_id": "", "show_progress": False}
        result = recbole_mm.run("MMASP", NAME, config_dict=options)
        assert 1 < result.test["rmse"] < 5 and {"ndcg@10", "genre_map"} <= set(result.test)
        assert result.config["like_threshold"] == 8.0 and result.config["rating_scale"] == [1, 10]


def everything_but_kept(folder: Path) -> dict[str, bytes]:
    """Without embeddings; encoders may differ in the last bit."""
    kept = folder / f"extract.{NAME}"
    if kept.is_dir():
        shutil.rmtree(kept)
    files = everything(folder)
    return {name: content for name, content in files.items() if not name.endswith(".encoder.npz")}


FIRST = ratings_text().splitlines()[1]


class TestErrors:
    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"ratings": ratings_text().replace("Feedback", "Rating")}, "anime_ratings.dat: .*missing: Feedback"),
            ({"ratings": ratings_text().replace(FIRST, FIRST[:-1] + "11", 1)}, "line 2: '.*11' is not a whole number"),
            ({"ratings": ratings_text().replace(FIRST, FIRST[:-1] + "x", 1)}, "line 2: '.*x' is not a whole number"),
            ({"ratings": ratings_text().replace(FIRST, "u" + FIRST, 1)}, "line 2: 'u1' is not an id"),
            ({"ratings": ratings_text() + FIRST + "\n"}, r"line \d+: this user has rated this anime already"),
            ({"ratings": "User_ID\tAnime_ID\tFeedback\n1\t999\t5\n"}, "of 1 ratings none is left; .*the same ids"),
            ({"ratings": "User_ID\tAnime_ID\tFeedback\n"}, "anime_ratings.dat: .*missing: rows"),
            ({"items": items_text().replace("synopsis", "plot", 1)}, "joined.tsv.gz: .*missing: synopsis"),
            ({"items": "\n".join(line.rsplit("\t", 2)[0] + "\t\t0" if i else line for i, line in
                                 enumerate(items_text().splitlines()))}, "no row has a synopsis"),
            ({"items": items_text() + items_text().splitlines()[1] + "\n"}, "item '1' is there twice"),
            ({"items": items_text().replace("\t0\n", "\tno\n", 1)}, "column 'adult' must hold 0 or 1"),
        ],
    )  # fmt: skip
    def test_of_the_files(self, tmp_path: Path, out: Path, changed: dict, message: str) -> None:
        with pytest.raises(InputError, match=message) as caught:
            prepare(NAME, out, write_anime(tmp_path / "source", **changed))
        assert "\n" not in str(caught.value)
        assert_nothing_left(out)

    def test_missing_and_truncated_files(self, source: Path, out: Path, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="is not in .* yet; type: recbole-mm prepare anime --source DIR"):
            prepare(NAME, out)
        with pytest.raises(InputError, match="contains no anime_ratings.dat, also not in subfolders or zips"):
            prepare(NAME, out, write_folder(tmp_path / "empty"))
        path = source / "anime_items_joined.tsv.gz"
        path.write_bytes(path.read_bytes()[:300])
        with pytest.raises(InputError, match="joined.tsv.gz: cannot be read .*truncated or damaged"):
            prepare(NAME, out, source)
        assert_nothing_left(out)


def write_folder(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.mark.skipif(not (SHARED / "anime").is_dir(), reason=f"no anime in {SHARED} (set RECBOLE_MM_SOURCE)")
def test_the_real_files(out: Path) -> None:
    """All but the sentence encoder, which would take minutes."""
    folder = prepare(NAME, out, SHARED / "anime")
    ratings = pd.read_csv(folder / f"{NAME}.inter", sep="\t")
    assert (len(ratings), *(ratings[f"{key}_id:token"].nunique() for key in ("user", "item"))) == (
        366_018,
        3_128,
        3_084,
    )
    items = pd.read_csv(folder / f"{NAME}.item", sep="\t", dtype=str)
    assert len(items) == 3_084 and not items["movie_title:token_seq"].isna().any()
    terms = load_field_encoder(encoder_path(folder, NAME, "words")).components.terms.tolist()
    assert len(terms) > 5_000 and not {"mecha", "school", "magic", "demons", "comedy", "romance"} & set(terms)
