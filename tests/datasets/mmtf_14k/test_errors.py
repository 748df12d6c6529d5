"""MMTF-14K: what goes wrong is named, and leaves no half-written dataset."""

from __future__ import annotations

import errno
import zipfile
from pathlib import Path

import pytest
from mmtf_files import IDS, IVECTOR, NAME, assert_nothing_left, csv_text, everything, release_files, values_of, zip_of

from recbole_mm.data.vector_stream import VectorStream
from recbole_mm.datasets import atomic_writer
from recbole_mm.datasets.movielens import read_movies, read_ratings
from recbole_mm.datasets.registry import PREPARABLE, prepare
from recbole_mm.datasets.source_files import SourceFile, SourceTree
from recbole_mm.errors import InputError


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

    @pytest.mark.parametrize("stage", ["write_ratings", "write_items", "_write_field"])
    @pytest.mark.parametrize("there", [False, True])
    def test_interrupted(self, release, ratings, out, monkeypatch, stage: str, there: bool) -> None:
        before = everything(prepare(NAME, out, release, ratings=ratings)) if there else None

        def interrupted(path: Path, *arguments) -> None:
            path.write_text("half")
            raise KeyboardInterrupt

        monkeypatch.setattr(atomic_writer, stage, interrupted)
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
            (remove("movie_description.csv"), {}, "contains no movie_description.csv.*--download"),
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
            (edit(FILE, FIRST_ROW, f"tt1,{FIRST_ROW[2:]}"), {}, f"{FILE} line 2: 'tt1' is not a movieId"),
            (edit("movie_description.csv", "movieId,title", "id,name"), {}, "must be movieId, title"),
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
            (remove("ratings.csv"), "contains no ratings.csv.*--ratings"),
            (edit("ratings.csv", "timestamp", "time"), "needs the columns userId, movieId, rating, timestamp"),
            (edit("ratings.csv", ",4.5,", ",4.25,"), "rating 4.25 is not on the scale 0.5, 1, … 5"),
            (edit("ratings.csv", ",4.5,", ",many,"), "ratings.csv: is not MovieLens's ratings"),
            (edit("movies.csv", "genres", "kinds"), "movies.csv: is not MovieLens's movies"),
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
        with pytest.raises(InputError, match="none of the 1 ratings belongs to one of the 60 movies"):
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
        with pytest.raises(InputError, match=r"ml-20m: contains no movie_description\.csv"):
            prepare(NAME, out, ratings)
        with pytest.raises(InputError, match="MMTF14K: contains no ratings.csv"):
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


def test_builders_are_listed() -> None:
    assert set(PREPARABLE) == {"ml-100k-mm", NAME, "mmtf-14k-small", "anime"}
    with pytest.raises(InputError, match="Did you mean 'mmtf-14k'"):
        prepare("mmtf14k", Path("x"))


@pytest.mark.parametrize(
    "content, message",
    [
        (b"movieId,title,genres\n1,a\n", r"movies\.csv line 2: the row has not all of movieId, title, genres"),
        (b"movieId,title,genres\n1,a,b\x00c\n", r"movies\.csv: holds a NUL byte"),
        (
            b"movieId,title,genres\n1,a," + b"x" * 140_000 + b"\n",
            r"movies\.csv: cannot be read as a table",
        ),
    ],
)
def test_damaged_movies(tmp_path, content, message):
    path = tmp_path / "movies.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message), SourceTree(path) as tree:
        read_movies(tree.find("movies.csv"))


@pytest.mark.parametrize("cell", ['""4.0', '"4.0', '"4.0"', "4.\x000"])
def test_ratings_are_numbers_without_quotation_marks(tmp_path, cell):
    path = tmp_path / "ratings.csv"
    path.write_text('"userId","movieId","rating","timestamp"\n1,2,4.0,5\n', "utf-8")
    file = SourceFile.of(path)
    assert next(read_ratings(file)).to_numpy().tolist() == [[1, 2, 4.0, 5]]
    path.write_text(f"userId,movieId,rating,timestamp\n1,2,{cell},5\n1,3,4.0,6\n", "utf-8")
    with pytest.raises(InputError, match=r"ratings\.csv"):
        list(read_ratings(SourceFile.of(path)))
