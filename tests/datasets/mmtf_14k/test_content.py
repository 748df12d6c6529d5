"""MMTF-14K with texts and metadata that the user brings, in the forms that are recognised."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anime_files import Lengths
from mmtf_files import IDS, NAME, UNRATED, WITH_TEXT, assert_nothing_left, people_of, plain_table, summary_of

import recbole_mm
from recbole_mm.data.vectors import read_vectors
from recbole_mm.datasets.content_tables import names_in, read_contents
from recbole_mm.datasets.registry import prepare
from recbole_mm.datasets.source_files import SourceFile
from recbole_mm.errors import InputError
from recbole_mm.features.encoders import encoder_path, load_field_encoder

SHARED = Path(os.environ.get("RECBOLE_MM_SOURCE", Path(__file__).parents[4] / "shared" / "data"))


@pytest.fixture(autouse=True)
def _quick_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recbole_mm.datasets.text_vectors.load_encoder", lambda: Lengths())


def tmdb_table(as_json: bool) -> pd.DataFrame:
    """By TMDB id (the movie's id + 1000), with lists of objects as JSON or as Python writes them."""
    write = json.dumps if as_json else repr
    rows = []
    for movie in WITH_TEXT:
        director, cast = people_of(movie)
        crew = [{"job": "Producer", "name": "Nobody's"}, {"job": "Director", "name": director}]
        rows.append(
            {
                "id": movie + 1000,
                "overview": summary_of(movie),
                "keywords": write([{"id": 1, "name": name} for name in ("boat", "war film", f"key {movie % 6}")]),
                "production_countries": write([{"iso": "x", "name": "USA" if movie % 2 else "France"}]),
                "cast": write([{"cast_id": 1, "name": name} for name in cast]),
                "crew": write(crew),
            }
        )
    return pd.DataFrame(rows)


def links_file(folder: Path) -> SourceFile:
    lines = [f"{movie},{movie + 7:07d},{movie + 1000}" for movie in IDS]
    (folder / "links.csv").write_text("movieId,imdbId,tmdbId\n" + "\n".join(lines) + "\n9,0000001,\n")
    return SourceFile.of(folder / "links.csv")


class TestTables:
    def test_all_forms_say_the_same(self, tmp_path: Path) -> None:
        links = links_file(tmp_path)
        tables = {"plain.csv": plain_table(), "json.csv": tmdb_table(True), "python.csv": tmdb_table(False)}
        by_imdb = plain_table()
        by_imdb["imdb_id"] = [f"tt{movie + 7:07d}" for movie in by_imdb.pop("movieId")]
        tables["imdb.csv"] = by_imdb
        found = {}
        for name, table in tables.items():
            table.to_csv(tmp_path / name, index=False)
            found[name] = read_contents(tmp_path / name, links)
        plain_table().to_csv(tmp_path / "plain.tsv.gz", index=False, sep="\t")
        found["plain.tsv.gz"] = read_contents(tmp_path / "plain.tsv.gz", None)
        if importlib.util.find_spec("pyarrow"):
            plain_table().assign(cast=[people_of(movie)[1] for movie in WITH_TEXT]).to_parquet(tmp_path / "p.parquet")
            found["p.parquet"] = read_contents(tmp_path / "p.parquet", None)
        first = found["plain.csv"]
        assert set(first) == set(map(str, WITH_TEXT))
        director, cast = people_of(IDS[2])
        one = first[str(IDS[2])]
        assert (one.metadata["director"], one.metadata["cast"]) == ([director], cast)
        for name, contents in found.items():
            assert contents == first, name

    def test_names_of_objects(self) -> None:
        assert names_in("""[{'name': "Nobody's", 'id': 1}, {"name": 'a "b"'}]""") == ["Nobody's", 'a "b"']
        assert names_in(r"""[{'name': 'O\'Neil'}]""") == ["O'Neil"]
        assert names_in("[]") == [] and names_in("") == [] and names_in("[broken") == []
        assert names_in("[{'name': __import__('os').getcwd()}]") == [], "parsed, never evaluated"

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (None, "no such file; it must be a csv, tsv or parquet file"),
            ("title,overview\nA,b\n", "no column with ids .* is recognised .title, overview."),
            ("movieId,poster\n1,b\n", "no column with texts or metadata is recognised"),
            ("movieId,overview\n", "must have rows"),
            ("movieId,overview\nx,b\n", "none of its 1 rows belongs to a MovieLens movie"),
            ("tmdbId,overview\n5,b\n", "has ids of TMDB .column 'tmdbId'., and MovieLens's links.csv"),
            ("imdbId,overview\n5,b\n", "has ids of IMDb"),
        ],
    )
    def test_wrong_files(self, tmp_path: Path, text: str | None, message: str) -> None:
        if text is not None:
            (tmp_path / "t.csv").write_text(text)
        with pytest.raises(InputError, match=message) as caught:
            read_contents(tmp_path / "t.csv", None)
        assert "\n" not in str(caught.value)

    def test_damaged_binary_files(self, tmp_path: Path) -> None:
        (tmp_path / "t.csv").write_bytes(b"movieId,overview\n1,\xff\xfe\n")
        with pytest.raises(InputError, match="t.csv: cannot be read"):
            read_contents(tmp_path / "t.csv", None)
        (tmp_path / "t.parquet").write_bytes(b"PAR1 no")
        with pytest.raises(InputError, match="pip install 'recbole-mm.import.'|is no parquet file"):
            read_contents(tmp_path / "t.parquet", None)

    @pytest.mark.skipif(not (SHARED / "mmtf-text-metadata").is_dir(), reason=f"no mmtf-text-metadata in {SHARED}")
    def test_the_real_table(self) -> None:
        contents = read_contents(SHARED / "mmtf-text-metadata" / "movie_text_metadata.tsv.gz", None)
        assert len(contents) == 17_710
        assert contents["1"].metadata["director"] == ["John Lasseter"] and contents["1"].text.startswith("Led by Woody")
        assert contents["1"].keywords[:2] == ["jealousy", "toy"]


class TestBuild:
    @pytest.fixture
    def table(self, tmp_path: Path) -> Path:
        plain_table().to_csv(tmp_path / "content.csv", index=False)
        return tmp_path / "content.csv"

    def test_fields_and_their_encoders(self, release, ratings, out, table, tmp_path, monkeypatch) -> None:
        folder = prepare(NAME, out, release, ratings=ratings, texts=table, metadata=table)
        for field in ("text", "words", "meta", "keywords"):
            vectors = read_vectors(folder, NAME, field)
            assert set(vectors.item_ids.tolist()) == set(map(str, WITH_TEXT)) - {str(UNRATED)}
            assert np.isfinite(vectors.values).all()
        terms = load_field_encoder(encoder_path(folder, NAME, "words")).components.terms.tolist()
        assert "genuine" in terms and not {"comedy", "western"} & set(terms)
        assert "boat" in (keywords := load_field_encoder(encoder_path(folder, NAME, "keywords"))).components.terms
        assert "war film" not in keywords.components.terms
        meta, encoder = read_vectors(folder, NAME, "meta"), load_field_encoder(encoder_path(folder, NAME, "meta"))
        assert {"director=director 1", "cast=actor 1", "country=france", "decade=1980"} <= set(encoder.components.terms)
        row = meta.item_ids.tolist().index("7")
        director, cast = people_of(7)
        raw = {"director": director, "cast": cast, "country": "USA", "decade": "1980"}
        np.testing.assert_allclose(encoder([raw])[0], meta.values[row], atol=1e-5)
        page = (folder / "PROVENANCE.md").read_text("utf-8")
        assert "| `text` | sentence embedding of the summary | yours | 57 of 59 |" in page
        monkeypatch.chdir(tmp_path)
        options = {"data_path": str(out), "modalities": ["text", "words", "meta", "keywords"], "pca_components": 4}
        options |= {"epochs": 1, "gpu_id": "", "show_progress": False}
        assert recbole_mm.run("MMFS", NAME, config_dict=options).test["rmse"] > 0

    def test_built_again_and_vectors_of_the_users_own(self, release, ratings, out, table) -> None:
        folder = prepare(NAME, out, release, ratings=ratings, metadata=table)
        assert not (folder / f"{NAME}.text.npz").exists()
        with pytest.raises(InputError, match="without 'text'; add --force"):
            prepare(NAME, out, release, ratings=ratings, texts=table)
        prepare(NAME, out, release, ratings=ratings, texts=table, metadata=table, force=True)
        names = sorted(path.name for path in prepare(NAME, out, release, ratings=ratings, texts=table).iterdir())
        assert not [name for name in names if name.endswith(".earlier")] and f"{NAME}.text.npz" in names
        encoder_path(folder, NAME, "text").unlink()
        with pytest.raises(
            InputError, match=r"mmtf-14k.text.npz: holds vectors of field 'text' that prepare did not make"
        ):
            prepare(NAME, out, release, ratings=ratings, texts=table, force=True)

    def test_ids_that_join_nothing_and_files_without_content(self, release, ratings, out, tmp_path) -> None:
        other = plain_table().assign(movieId=lambda table: table["movieId"] + 10**6)
        other.to_csv(tmp_path / "other.csv", index=False)
        plain_table().assign(overview=" ").to_csv(tmp_path / "empty.csv", index=False)
        plain_table()[["movieId", "overview"]].to_csv(tmp_path / "texts.csv", index=False)
        for options, message in (
            ({"texts": tmp_path / "other.csv"}, "none of its 58 movies is one of the 60 of the release"),
            ({"texts": tmp_path / "empty.csv"}, "empty.csv has no text for any of the 60 movies"),
            ({"metadata": tmp_path / "texts.csv"}, "texts.csv has no metadata for any of the 60 movies"),
        ):
            with pytest.raises(InputError, match=message):
                prepare(NAME, out, release, ratings=ratings, **options)
            assert_nothing_left(out)
