from __future__ import annotations

import pytest

from recbole_mm.features.summaries import sentences_of, without_reception

LEAD = (
    "Heat is a 1995 American crime film directed by Michael Mann. It stars Al Pacino and R. Lee Ermey as Lt. Hanna. "
    "{} Hanna's best friend dies in the U.S. Embassy."
)


@pytest.mark.parametrize(
    "sentence",
    [
        "It was nominated for two Academy Awards.",
        "The film received mixed reviews from critics.",
        "It grossed $187 million on a budget of $60 million.",
        "Roger Ebert praised it.",
        "It was a box-office bomb.",
        "In 2010 the film was selected for the National Film Registry.",
        "It became a cult classic.",
        "It was the highest-grossing film of the year.",
    ],
)
def test_reception_and_the_first_sentence_are_left_out(sentence: str) -> None:
    kept = without_reception(LEAD.format(sentence))
    assert kept == ("It stars Al Pacino and R. Lee Ermey as Lt. Hanna. Hanna's best friend dies in the U.S. Embassy.")


def test_what_it_is_about_stays() -> None:
    plot = "A thief meets a policeman."
    assert plot in without_reception(LEAD.format(plot))
    assert without_reception("Heat is a 1995 film.") == ""
    assert without_reception("") == ""


def test_sentences() -> None:
    assert sentences_of('"Why?" he asks. J. R. R. Tolkien wrote it.\nHot Shots! is a film') == [
        '"Why?" he asks.',
        "J. R. R. Tolkien wrote it.",
        "Hot Shots! is a film",
    ]
    assert sentences_of("  ") == []
