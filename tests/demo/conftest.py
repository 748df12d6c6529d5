from __future__ import annotations

import pytest

from recbole_mm import load
from recbole_mm.inference.recommender import Recommender


@pytest.fixture
def hostile() -> str:
    """Title of the movie of this id: markup that must never become any."""
    return "<img src=x onerror=alert(1)>"


@pytest.fixture
def recommender(request, recommender, hostile) -> Recommender:
    """MMASP on the planted data and one movie more; with the parameter ``trained``, the model of that fixture."""
    if getattr(request, "param", None) == "trained":
        return load(request.getfixturevalue("trained"))
    recommender.add_movies({"item_id": ["hostile"], "title": [hostile], "year": [2026], "text": [[1.0, 0.0, 0.0]]})
    return recommender
