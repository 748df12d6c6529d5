"""MMTF-14K: a release in its exact layout to atomic files and vectors, to a trained model."""

from __future__ import annotations

import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from mmtf_files import (
    AVF,
    GENRES,
    IDS,
    IVECTOR,
    MOVIES,
    NAME,
    ONE_DESCRIPTOR,
    UNRATED,
    WITH_INF,
    everything,
    movielens_files,
    release_files,
    values_of,
    zip_of,
)
from recbole.data.interaction import Interaction

import recbole_mm
from recbole_mm.cli.main import main
from recbole_mm.config.config import Config
from recbole_mm.data.vectors import read_vectors
from recbole_mm.datasets import atomic_writer
from recbole_mm.datasets.mmtf_14k import build as mmtf_14k
from recbole_mm.datasets.mmtf_14k.release import descriptor_name
from recbole_mm.datasets.registry import prepare
from recbole_mm.datasets.source_files import SourceTree
from recbole_mm.training.session import prepare_session


class TestConverter:
    def test_atomic_files(self, release: Path, ratings: Path, out: Path) -> None:
        folder = prepare(NAME, out, release, ratings=ratings)
        table = pd.read_csv(folder / f"{NAME}.inter", sep="\t")
        assert list(table) == ["user_id:token", "item_id:token", "rating:float", "timestamp:float"]
        source = pd.read_csv(ratings / "ratings.csv")
        rows = source[source["movieId"].isin(IDS)].to_numpy().tolist()
        assert sorted(table.to_numpy().tolist()) == sorted(rows) and table.to_numpy().tolist() != rows
        fifth = len(table) // 5
        assert table["user_id:token"][fifth:].nunique() == 40, "fold u1 leaves training ratings of all users"
        assert {0.5, 4.5} <= set(table["rating:float"])
        items = pd.read_csv(folder / f"{NAME}.item", sep="\t", dtype=str, keep_default_na=False)
        items = items.set_index("item_id:token")
        assert set(items.index) == {str(movie) for movie in IDS} - {str(UNRATED)}
        assert items.loc["4"].tolist() == ["Movie 4, Thé", "1984", "Comedy"], "year of production, not of the title"
        without = str(IDS[-3])
        assert items.loc[without].tolist() == [f"Movie {without}, Thé", str(1990 + IDS[-3] % 9), ""]

    def test_vectors_belong_to_their_movies(self, release: Path, ratings: Path, out: Path) -> None:
        folder = prepare(NAME, out, release, ratings=ratings)
        ivectors, aesthetic = read_vectors(folder, NAME, IVECTOR), read_vectors(folder, NAME, AVF)
        assert ivectors.values.shape == (MOVIES - 1, 100), "all rated movies"
        assert set(aesthetic.item_ids) == {str(m) for m in IDS if m not in (UNRATED, ONE_DESCRIPTOR, WITH_INF)}
        for table, shift, dimension in ((ivectors, 1, 100), (aesthetic, 0, 107)):
            expected = [values_of(int(movie), dimension, shift) for movie in table.item_ids]
            np.testing.assert_allclose(table.values, expected, atol=1e-6)

    def test_counts_are_printed_and_kept(self, release: Path, ratings: Path, out: Path, capsys) -> None:
        folder = prepare(NAME, out, release, ratings=ratings)
        printed = capsys.readouterr().out
        kept = (folder / "PROVENANCE.md").read_text("utf-8")
        for line in (
            "movies: 59 of 60; 1 have no rating and are left out",
            "of 40 users; 1 of other movies are left out",
            "movies without a genre: 2",
            f"{AVF}: 57 movies, 107-d; rows left out: 1 with inf or nan, 1 without ratings, 1 of unknown movies, "
            f"1 repeated",
            "movies without any vector: 0",
        ):
            assert line in printed and line in kept
        assert "fitted per item fold** by their publisher. The i-vectors here are from fold 1" in kept
        assert f"--modalities=[{IVECTOR},{AVF}]" in printed

    def test_every_descriptor_by_name(self, release: Path, ratings: Path, out: Path) -> None:
        audio = "blf:correlation,blf:spectral,ivector:fold2:gmm128:tv10"
        visual = "avf:medmad,AVF:Avg:Type3Color,alexnet:med,avf:avg:feat26avghslfocus"
        folder = prepare(NAME, out, release, ratings=ratings, audio=audio, visual=visual)
        found = {p.name.split(".")[1]: read_vectors(folder, NAME, p.name.split(".")[1]) for p in folder.glob("*.npz")}
        dimensions = {field: table.dimension for field, table in found.items()}
        assert dimensions == {
            **{"blf_correlation": 3, "blf_spectral": 7, "ivector_fold2_gmm128_tv10": 10},
            **{"avf_medmad": 107, "avf_avg_type3color": 106, "alexnet_med": 300, "avf_avg_feat26avghslfocus": 105},
        }
        known = [descriptor_name(Path(name).name) for name in release_files()]
        assert sum(name is not None for name in known) == 6 + 4 + 4 * 4

    def test_one_kind_alone(self, release: Path, ratings: Path, out: Path) -> None:
        folder = prepare(NAME, out, release, ratings=ratings, visual="")
        assert [path.name for path in folder.glob("*.npz")] == [f"{NAME}.{IVECTOR}.npz"]

    def test_tags_are_an_input_without_genre_words(self, release: Path, ratings: Path, out: Path) -> None:
        folder = prepare(NAME, out, release, ratings=ratings, tags=True)
        table = read_vectors(folder, NAME, "tags")
        assert table.dimension == 2, "robots and time travel; not romantic comedy, not Horror"
        np.testing.assert_array_equal(table.values, [[1, int(movie)] for movie in table.item_ids])

    def test_genres_from_the_release_where_movielens_has_none(self, release: Path, ratings: Path, out: Path) -> None:
        (ratings / "movies.csv").unlink()
        folder = prepare(NAME, out, release, ratings=ratings)
        items = pd.read_csv(folder / f"{NAME}.item", sep="\t", dtype=str).set_index("item_id:token")
        assert items["class:token_seq"].to_dict() == {str(m): GENRES[m % 3] for m in IDS[:-1]}

    def test_memory_is_that_of_a_block(self, tmp_path: Path) -> None:
        def peak(movies: int) -> int:
            path = tmp_path / "AlexNetFeatures - AVG - fc7.csv"
            path.write_text("movieId," + "x," * 999 + "x\n" + "".join(f"{m}{',0.123' * 1000}\n" for m in range(movies)))
            ids = {str(movie) for movie in range(movies)}
            with SourceTree(tmp_path) as tree:
                rows = mmtf_14k._rows(tree.find(path.name))
                tracemalloc.start()
                counts = atomic_writer._write_field(tmp_path / "d.x.npz", rows, ids, ids, set(), "x")
                used = tracemalloc.get_traced_memory()[1]
                tracemalloc.stop()
            assert counts.vectors == movies
            return used

        assert peak(1600) < 1.2 * peak(400)

    def test_the_order_of_blocks_changes_nothing(self, release: Path, ratings: Path, out: Path, monkeypatch) -> None:
        whole = everything(prepare(NAME, out, release, ratings=ratings))
        monkeypatch.setattr("recbole_mm.datasets.mmtf_14k.release._BLOCK_BYTES", 1)
        monkeypatch.setattr("recbole_mm.datasets.movielens._ROWS_AT_A_TIME", 7)
        assert everything(prepare(NAME, out, release, ratings=ratings, force=True)) == whole


class TestSources:
    """One release, however it is packed."""

    @pytest.fixture
    def expected(self, release: Path, ratings: Path, tmp_path: Path) -> dict[str, bytes]:
        return everything(prepare(NAME, tmp_path / "expected", release, ratings=ratings))

    @pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
    def test_nested_zips_at_any_depth(self, expected, tmp_path: Path, out: Path, method: int) -> None:
        files = {f"deeper/Final_MMTF14K_Web/{name}": text for name, text in release_files().items()}
        ivectors = {name: files.pop(name) for name in list(files) if "ivector" in name}
        inner = {f"ivector_features/{Path(name).name}": text for name, text in ivectors.items()}
        files["deeper/Final_MMTF14K_Web/Audio/ivector_features.zip"] = zip_of(inner)
        files["__MACOSX/Data/._movie_description.csv"] = "attributes"
        archive = tmp_path / "Final_MMTF14K_Web.zip"
        archive.write_bytes(zip_of(files, method))
        movielens = tmp_path / "ml-20m.zip"
        movielens.write_bytes(zip_of({f"ml-20m/{name}": text for name, text in movielens_files().items()}))
        assert everything(prepare(NAME, out, archive, ratings=movielens)) == expected

    def test_one_folder_with_both(self, expected, tmp_path: Path, out: Path) -> None:
        (tmp_path / "both").mkdir()
        (tmp_path / "both" / "mmtf.zip").write_bytes(zip_of(release_files()))
        (tmp_path / "both" / "ml-20m.zip").write_bytes(zip_of(movielens_files()))
        assert everything(prepare(NAME, out, tmp_path / "both")) == expected

    def test_lines_of_windows_and_ids_as_decimals(self, expected, release: Path, ratings: Path, out: Path) -> None:
        path = next(release.rglob("*fold_1_gmm_128_tvDim_100.csv"))
        lines = path.read_text("latin1").splitlines()
        path.write_bytes("\r\n".join([lines[0], *(line.replace(",", ".0,", 1) for line in lines[1:])]).encode())
        assert everything(prepare(NAME, out, release, ratings=ratings)) == expected


class TestCommandLine:
    def test_prepare_and_run(self, release, ratings, out, tmp_path, monkeypatch, capsys) -> None:
        """The commands of docs/mmtf-14k.md."""
        monkeypatch.chdir(tmp_path)
        command = ["prepare", NAME, "--source", str(release), "--ratings", str(ratings), "--out", str(out)]
        assert main([*command, "--audio=ivector:fold1:gmm128:tv100", "--visual=avf:avg"]) == 0
        assert f"{NAME}.{AVF}.npz" in capsys.readouterr().out
        options = {"data_path": str(out), "epochs": 2, "gpu_id": "", "show_progress": False}
        result = recbole_mm.run("MMFS", NAME, config_dict=options)
        assert result.config["modalities"] == [IVECTOR, AVF] and result.config["rating_scale"] == [0.5, 5]
        assert 0 < result.test["rmse"] < 2 and result.test["ndcg@10"] > 0

    def test_half_stars_are_clipped_to_and_told_apart(self, release, ratings, out, tmp_path, monkeypatch) -> None:
        monkeypatch.chdir(tmp_path)
        prepare(NAME, out, release, ratings=ratings)
        options = {"data_path": str(out), "epochs": 1, "gpu_id": "", "show_progress": False}
        trained = recbole_mm.load(recbole_mm.run("MMASP", NAME, config_dict=options).checkpoint).model
        pair = Interaction({"user_id": torch.tensor([1]), "item_id": torch.tensor([1])})
        for mean, clipped in ((-99.0, 0.5), (99.0, 5.0)):
            trained.tasks["rating"].mean_rating.fill_(mean)
            assert trained.predict_rating(pair).tolist() == [clipped]
        builtin = Config("DeepFM", NAME, config_dict={**options, "builtin_task": "rating"})
        assert prepare_session(builtin).model.rating_scale.tolist() == [0.5, 5]
        session = prepare_session(Config("MMFS", NAME, config_dict=options))
        rows = session.split.train.inter_feat["rating"]
        assert {2.5, 4.0, 4.5} <= set(rows.tolist())
        assert session.model.users.liked.counts.sum() == (rows >= 4).sum()
        assert session.model.users.disliked.counts.sum() == (rows < 4).sum()

    def test_options_of_one_builder_are_unknown_to_another(self, capsys) -> None:
        with pytest.raises(SystemExit):
            main(["prepare", "ml-100k-mm", "--audio=blf:spectral"])
        assert "unrecognized arguments: --audio" in capsys.readouterr().err
        with pytest.raises(SystemExit):
            main(["prepare", NAME, "--help"])
        assert "--download" in capsys.readouterr().out
