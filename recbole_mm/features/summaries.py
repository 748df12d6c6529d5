"""What of an encyclopedia's lead says what a movie is about: without its first sentence and without its reception.

The first sentence names the genre ("is a 1997 American crime film"). Sentences on awards, critics and box office tell
how the movie was received, which is what ratings say: they are no content.
"""

from __future__ import annotations

import re

_ABBREVIATIONS = r"(?:Mr|Mrs|Ms|Dr|St|Jr|Sr|Lt|Col|Gen|Capt|Sgt|Rev|Prof|vs|No|Vol|Inc|Ltd|Co|Bros|Mt|U\.S|U\.K|D\.C)"
_SENTENCE_END = re.compile(r"([.!?]['\"”’)]*)\s+(?=['\"“‘(]?[A-Z0-9])")
# R. Lee Ermey, U.S. Army, St. Louis: such a full stop ends no sentence.
_NO_END = re.compile(rf"(?:(?:^|[\s(.\-\"“'])[A-Z]|\b{_ABBREVIATIONS})\.$")
_RECEPTION = re.compile(
    r"\b(?:awards?|awarded|oscars?|academy|golden globes?|baftas?|emmys?|palme d'or|c[ée]sars?|razzies?|raspberr\w+|"
    r"nominat\w+|nominees?|won|wins|winning|winner|honou?rs?|honou?red|prizes?|festivals?|jury|"
    r"critic|critics|critical|critically|criticis\w+|criticiz\w+|acclaim\w*|reviews?|reviewed|reviewers?|"
    r"recept\w+|received|praised?|praising|panned|lauded|ratings?|rated|rotten tomatoes|metacritic|cinemascore|"
    r"box[- ]office|gross\w*|earn(?:ed|ing|ings)|million|billion|budget\w*|profit\w*|commercial\w*|success\w*|"
    r"unsuccess\w*|flop\w*|(?:a|big|major|huge|minor) hit|bomb(?:ed)? at|failure|failed|disappoint\w*|popular\w*|"
    r"audiences?|cult (?:film|movie|classic|following|status|hit)|classics?|masterpiece\w*|landmark|influential|"
    r"greatest|best(?! friend)|worst|top \d+|\d+(?:st|nd|rd|th) on|national film registry|library of congress|"
    r"american film institute|afi|imdb|empire magazine|highest[- ]\w+|ranked|ranks|listed|polls?|preserved|"
    r"sight (?:&|and) sound|roger ebert|home video|dvd|blu-ray)\b",
    re.IGNORECASE,
)


def sentences_of(text: str) -> list[str]:
    """The sentences of a text.

    >>> sentences_of('It stars R. Lee Ermey. "Why?" he asks. The U.S. Army comes.')
    ['It stars R. Lee Ermey.', '"Why?" he asks.', 'The U.S. Army comes.']
    """
    text, sentences, start = " ".join(text.split()), [], 0
    for match in _SENTENCE_END.finditer(text):
        sentence = text[start : match.end(1)]
        if _NO_END.search(sentence):
            continue
        sentences.append(sentence)
        start = match.end()
    return [*sentences, text[start:]] if text[start:] else sentences


def without_reception(lead: str) -> str:
    """A lead without its first sentence and its sentences on reception; '' if nothing is left.

    >>> without_reception("Heat is a 1995 film. A thief meets a policeman. It won two awards.")
    'A thief meets a policeman.'
    """
    return " ".join(sentence for sentence in sentences_of(lead)[1:] if not _RECEPTION.search(sentence))
