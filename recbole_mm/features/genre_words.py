"""Removes genre words from a text: genre is a target of the models, so it must not be an input."""

from __future__ import annotations

import re
from collections.abc import Iterable

# For each MovieLens genre, the words that name it: inflections and common variants, but not similar words (Romania,
# documents, Crimea, warrior). Words for a theme that is not a MovieLens genre (spy, superhero) stay in the text.
GENRE_WORDS = {
    "Action": r"action(?:s|ers?)?",
    "Adventure": r"(?:mis)?adventur\w*|swashbuckl\w*",
    "Animation": r"animat(?:e|es|ed|ing|ions?|ors?)|anime|cartoon\w*|claymation|stop[- ]motion",
    "Children's": r"children(?:['’]s)?|kids['’]?(?=\s+(?:film|movie)s?\b)",
    "Comedy": r"\w*comed\w*|(?:tragi|serio)?comic(?:al|ally)?(?!\s+(?:book|strip))|rom-?coms?|slapstick|screwball|"
    r"parod\w*|spoof\w*|satir\w*|farc(?:e|es|ical)",
    "Crime": r"crimes?|criminal\w*|crimefight\w*",
    "Documentary": r"\w*documentar\w*|mockumentar\w*|non-?fiction\w*",
    "Drama": r"\w*drama\w*|dramed\w+|tearjerker\w*",
    "Fantasy": r"fantas(?:y|ies|i[sz]\w*|tic\w*)",
    "Film-Noir": r"noir\w*",
    "Horror": r"horror\w*|horrif\w*|slashers?|splatter\w*",
    "Musical": r"musicals?|musically|operettas?",
    "Mystery": r"myster\w*|whodun+its?",
    "Romance": r"romanc\w*|romantic\w*",
    "Sci-Fi": r"sci-?fi|sci fi|science[- ]fiction\w*|space[- ]operas?|cyberpunk",
    "Thriller": r"thrill\w*|suspens\w*",
    "War": r"wars?|wartime|warfare|(?:pre|post|inter)war",
    "Western": r"westerns?|westerniz\w*",
}


def genre_pattern(other_genres: Iterable[str] = ()) -> re.Pattern[str]:
    """Pattern of the words that name a MovieLens genre, and of the names (not the inflections) of ``other_genres``.

    A plural or a possessive of another genre is found, and a hyphen in it may be a space.
    """
    others = [_name(genre) for genre in other_genres if genre]
    word = "(?:" + "|".join([*GENRE_WORDS.values(), *others]) + ")(?:['’]s)?"
    # A compound with a hyphen is removed with its genre word: computer-animated, neo-noir.
    compound = rf"(?:\w+[-–/])*\b{word}(?:[-–/]\w+)*"
    # 'family' names the children's genre only before 'film' or another genre word.
    family = rf"family(?=[\s/,-]+(?:(?:films?|movies?|picture|feature)\b|{compound}))"
    return re.compile(rf"(?<!\w)(?:{family}|{compound})(?!\w)", re.IGNORECASE)


def _name(genre: str) -> str:
    parts = [re.escape(part) for part in re.split(r"[-\s]+", genre) if part]
    name = r"[-\s]".join(parts)
    return name[:-1] + r"(?:y|ies)" if name.endswith("y") else name + "s?"


_GENRE_WORD = genre_pattern()


def mask_genre_words(text: str) -> str:
    """``text`` without the words that name a MovieLens genre, and without the spaces that they leave.

    >>> mask_genre_words("Toy Story is a 1995 American computer-animated comedy film.")
    'Toy Story is a 1995 American film.'
    """
    return mask_and_count(text, _GENRE_WORD)[0]


def mask_and_count(text: str, pattern: re.Pattern[str]) -> tuple[str, int]:
    """``text`` without the matches of a `genre_pattern` and their spaces, and the number of removed words."""
    previous, masked = None, 0
    while text != previous:  # words that are now side by side may form another genre word
        previous = text
        text, n_words = pattern.subn(" ", text)
        masked += n_words
        text = re.sub(r"\s+", " ", text)
        text = re.sub(r"\s+([.,;:!?)])", r"\1", text).strip()
    return text, masked
