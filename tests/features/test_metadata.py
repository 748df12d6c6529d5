from __future__ import annotations

import pytest

from recbole_mm.features.metadata import Metadata, keyword_names, metadata_names


def test_names_of_each_kind() -> None:
    metadata = Metadata(
        directors=["Joel  Coen"],
        cast=["A", "B", "(voices)", "C", "D", "E", "F"],
        companies=["Working Title"],
        countries=["USA", "United States of America", "UK"],
        language="en",
        content_rating="R",
        keywords=["kidnapping"],
    )
    assert metadata_names(metadata, "1996") == [
        "director=joel coen",
        *(f"cast={name}" for name in "abcde"),
        "company=working title",
        "country=united states of america",
        "country=united kingdom",
        "language=en",
        "content rating=r",
        "decade=1990",
    ]
    assert not metadata.is_empty and Metadata(keywords=["a"]).is_empty


@pytest.mark.parametrize("year", ["", "unknown", "96", "2996"])
def test_an_unknown_year_has_no_decade(year: str) -> None:
    assert metadata_names(Metadata(language="en"), year) == ["language=en"]


def test_names_with_a_genre_word_are_left_out() -> None:
    metadata = Metadata(companies=["Dark Castle", "Western Films", "Mecha Inc."], directors=["War Burton"])
    assert metadata_names(metadata) == ["company=dark castle", "company=mecha inc."]
    assert metadata_names(metadata, genres=["Mecha"]) == ["company=dark castle"]


def test_keywords_and_their_words() -> None:
    assert keyword_names(["Drug dealer", "drug", "based on comic book", "world war ii", "film noir", ""]) == [
        *("drug dealer", "drug", "dealer"),
        *("based on comic book", "based", "on", "book"),
    ]
