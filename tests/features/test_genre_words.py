"""Genre words leave the text, everything else stays."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbole_mm.features.genre_words import GENRE_WORDS, genre_pattern, mask_and_count, mask_genre_words

ML_100K_GENRES = {
    "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy", "Film-Noir",
    "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
}  # fmt: skip

WORDS = [
    "action", "adventure", "adventures", "misadventures", "swashbuckling", "animated", "animation", "anime",
    "cartoon", "stop-motion", "computer-animated", "children's", "comedy", "comedies", "comedic", "comedian",
    "comic", "comical", "tragicomedy", "rom-com", "romcom", "slapstick", "parody", "spoof", "satire", "satirical",
    "crime", "crimes", "criminal", "crime-ridden", "documentary", "documentaries", "mockumentary", "docudrama",
    "non-fiction", "drama", "dramas", "dramatic", "dramatized", "dramedy", "melodrama", "comedy-drama", "fantasy",
    "fantasies", "fantastic", "noir", "neo-noir", "film-noir", "horror", "horrifying", "slasher", "musical",
    "musicals", "mystery", "mysteries", "mysterious", "whodunit", "romance", "romances", "romantic", "romanticized",
    "sci-fi", "scifi", "science-fiction", "thriller", "thrillers", "thrilling", "suspense", "war", "wars", "war's",
    "wartime", "anti-war", "western", "westerns", "neo-western", "fantasy-action-horror", "live-action",
    "comedy–drama", "animation/comedy",
]  # fmt: skip


def test_every_genre_of_movielens_is_covered_and_masks_its_own_name() -> None:
    assert set(GENRE_WORDS) == ML_100K_GENRES
    for genre in ML_100K_GENRES:
        assert mask_genre_words(f"a {genre} film") == "a film"


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("form", [str.lower, str.upper, str.capitalize])
def test_inflections_and_variants(word: str, form: Callable[[str], str]) -> None:
    assert mask_genre_words(f"A 1994 {form(word)}, filmed in Ohio") == "A 1994, filmed in Ohio"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a family film about", "a film about"),
        ("a family comedy-drama film", "a film"),
        ("a family, adventure movie", "a, movie"),
        ("a science fiction horror film noir.", "a film."),
        ("a romantic black comedy film", "a black film"),
        ("kids' movies", "movies"),
        ("(a musical)", "(a)"),
    ],
)
def test_phrases(text: str, expected: str) -> None:
    assert mask_genre_words(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Roman and Romanian, warm and Warner, warrior and warden, Crimea and crimson, actor and reaction",
        "documents, comics, a comic book, coming, midwestern, northwest, a family from Kansas, a child, fiction",
        "a spy film about a detective and a superhero",
        "",
    ],
)
def test_what_only_resembles_a_genre_word_stays(text: str) -> None:
    assert mask_genre_words(text) == text


@given(st.lists(st.sampled_from([*WORDS, "family", "film", "science", "fiction", "stop", "motion", "-", ".", "a"])))
def test_nothing_is_left_to_mask(words: list[str]) -> None:
    once = mask_genre_words(" ".join(words))
    assert mask_genre_words(once) == once


class TestOtherGenres:
    """Names of genres that MovieLens has not."""

    @pytest.mark.parametrize(
        ("text", "expected", "count"),
        [
            ("A sports biography about a boxer's sport", "A about a boxer's", 3),
            ("Biographies and game shows; a game-show host", "and; a host", 3),
            ("a transporter and a biographer", "a transporter and a biographer", 0),
            ("A comedy-biography, once more a comedy", "A, once more a", 2),
        ],
    )
    def test_are_masked_by_name(self, text: str, expected: str, count: int) -> None:
        assert mask_and_count(text, genre_pattern(["Sport", "Biography", "Game-Show"])) == (expected, count)

    def test_may_hold_any_character(self) -> None:
        assert mask_and_count("c++ (film)", genre_pattern(["(no", "genres", "listed)", "+", ""])) == ("c++ (film)", 0)
