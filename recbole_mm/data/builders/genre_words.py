"""Taking genre words out of a text: genre is a target of the models, so it must not be an input."""

from __future__ import annotations

import re

# Per MovieLens genre, the words that name it: inflections and common variants, without what only resembles them
# (Romania, documents, Crimea, warrior). Words for a theme that is not a genre of MovieLens (spy, superhero) are kept.
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
_WORD = "(?:" + "|".join(GENRE_WORDS.values()) + ")(?:['’]s)?"
# A genre word inside a hyphenated compound takes the compound along: computer-animated, neo-noir.
_COMPOUND = rf"(?:\w+[-–/])*\b{_WORD}(?:[-–/]\w+)*"
# 'family' is the usual name of the children's genre only in front of 'film' or of another genre word.
_FAMILY = rf"family(?=[\s/,-]+(?:(?:films?|movies?|picture|feature)\b|{_COMPOUND}))"
_GENRE_WORD = re.compile(rf"(?<!\w)(?:{_FAMILY}|{_COMPOUND})(?!\w)", re.IGNORECASE)


def mask_genre_words(text: str) -> str:
    """``text`` without the words that name a MovieLens genre; spaces left behind are closed up.

    >>> mask_genre_words("Toy Story is a 1995 American computer-animated comedy film.")
    'Toy Story is a 1995 American film.'
    """
    previous = None
    while text != previous:  # words that come together may form another genre word
        previous = text
        text = re.sub(r"\s+", " ", _GENRE_WORD.sub(" ", text))
        text = re.sub(r"\s+([.,;:!?)])", r"\1", text).strip()
    return text
