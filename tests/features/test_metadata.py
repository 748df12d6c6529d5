from __future__ import annotations

import pytest

from recbole_mm.features.metadata import decade_of, keyword_names, metadata_names


def test_names_of_each_kind() -> None:
    metadata = {
        "director": "Joel  Coen",
        "cast": ["A", "B", "(voices)", "C", "D", "E", "F"],
        "company": ["Working Title"],
        "country": ["USA", "United States of America", "UK"],
        "language": "en",
        "content rating": "R",
        "decade": decade_of("1996"),
        "studio": [],
    }
    assert metadata_names(metadata) == [
        "director=joel coen",
        *(f"cast={name}" for name in "abcde"),
        "company=working title",
        "country=united states of america",
        "country=united kingdom",
        "language=en",
        "content rating=r",
        "decade=1990",
    ]


@pytest.mark.parametrize("year", ["", "unknown", "96", "2996"])
def test_an_unknown_year_has_no_decade(year: str) -> None:
    assert decade_of(year) == "" and metadata_names({"language": "en", "decade": ""}) == ["language=en"]


def test_names_with_a_genre_word_are_left_out() -> None:
    metadata = {"company": ["Dark Castle", "Western Films", "Mecha Inc."], "director": ["War Burton"]}
    assert metadata_names(metadata) == ["company=dark castle", "company=mecha inc."]
    assert metadata_names(metadata, genres=["Mecha"]) == ["company=dark castle"]


def test_keywords_and_their_words() -> None:
    assert keyword_names(["Drug dealer", "drug", "based on comic book", "world war ii", "film noir", ""]) == [
        *("drug dealer", "drug", "dealer"),
        *("based on comic book", "based", "on", "book"),
    ]
